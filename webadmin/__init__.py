"""The browser front end: administration, self-service and webmail.

It opens no Maildir, index or queue file and holds no secret of the directory. What people see and change goes through
the control sockets, IMAP and submission in their own name, with the session that they opened by their password.
"""
