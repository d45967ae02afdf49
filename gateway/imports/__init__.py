"""From the files of other mail systems to entries of the directory. Reads files, writes none."""
