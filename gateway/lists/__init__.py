"""Mailing lists: service addresses, the list's copy of a message, what members and moderators may ask by mail. Pure."""
