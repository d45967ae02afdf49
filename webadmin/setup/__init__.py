"""How mail programs find out where their mail is: documents of several makers, all from one table of services."""
