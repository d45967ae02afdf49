"""What the pages of operation share: words for states, answers and events."""
