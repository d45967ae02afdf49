"""Tables of a shard and of its droppable cache, with their format versions."""

from __future__ import annotations

FORMAT = 4
CACHE_FORMAT = 1

# `expunged_at` makes a row a tombstone. Its `name` stays until the file is unlinked, then it is
# emptied and `ukey` becomes `#<uid>`, so that the same file may come back as a new message.
SHARD = """
CREATE TABLE opener (pid INTEGER NOT NULL PRIMARY KEY, boot TEXT NOT NULL);
CREATE TABLE state (one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1), boot TEXT NOT NULL, clean INTEGER NOT NULL);
CREATE TABLE account (
  account TEXT NOT NULL PRIMARY KEY, path TEXT NOT NULL, uidvalidity_next INTEGER NOT NULL,
  mailbox_next INTEGER NOT NULL, used_bytes INTEGER NOT NULL DEFAULT 0, used_messages INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE owner (
  address TEXT NOT NULL, account TEXT NOT NULL, last_seen REAL NOT NULL, PRIMARY KEY (address, account)
) WITHOUT ROWID;
CREATE TABLE mailbox (
  account TEXT NOT NULL, id INTEGER NOT NULL, name TEXT NOT NULL, special_use TEXT NOT NULL DEFAULT '',
  uidvalidity INTEGER NOT NULL, uidnext INTEGER NOT NULL, uid_reserved INTEGER NOT NULL,
  highestmodseq INTEGER NOT NULL, modseq_reserved INTEGER NOT NULL,
  lost_from INTEGER NOT NULL DEFAULT 0, tomb_floor INTEGER NOT NULL DEFAULT 0,
  messages INTEGER NOT NULL DEFAULT 0, unseen INTEGER NOT NULL DEFAULT 0,
  octets INTEGER NOT NULL DEFAULT 0, deleted INTEGER NOT NULL DEFAULT 0,
  acl TEXT NOT NULL DEFAULT '', metadata TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (account, id), UNIQUE (account, name)
) WITHOUT ROWID;
CREATE TABLE message (
  account TEXT NOT NULL, mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, modseq INTEGER NOT NULL,
  flags TEXT NOT NULL, keywords TEXT NOT NULL, info TEXT NOT NULL, size INTEGER NOT NULL, crlf INTEGER NOT NULL,
  internaldate REAL NOT NULL, savedate REAL NOT NULL, ukey TEXT NOT NULL, name TEXT NOT NULL, rcpt TEXT NOT NULL,
  expunged_at REAL,
  PRIMARY KEY (account, mailbox, uid), UNIQUE (account, mailbox, ukey)
) WITHOUT ROWID;
CREATE INDEX message_modseq ON message (account, mailbox, modseq);
CREATE INDEX message_tombstone ON message (account, mailbox, uid, modseq) WHERE expunged_at IS NOT NULL;
CREATE INDEX message_leftover ON message (account, mailbox) WHERE expunged_at IS NOT NULL AND name <> '';
CREATE TABLE maildrop_lock (
  account TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, until REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE seen (
  account TEXT NOT NULL, mailbox INTEGER NOT NULL, user TEXT NOT NULL, uid INTEGER NOT NULL,
  modseq INTEGER NOT NULL, is_seen INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (account, mailbox, user, uid)
) WITHOUT ROWID;
CREATE INDEX seen_modseq ON seen (account, mailbox, user, modseq);
CREATE TABLE grantee (
  account TEXT NOT NULL, mailbox INTEGER NOT NULL, identifier TEXT NOT NULL, PRIMARY KEY (account, mailbox, identifier)
) WITHOUT ROWID;
CREATE INDEX grantee_identifier ON grantee (identifier, account, mailbox)
"""

#: what makes a shard of the format before into one of this format
UPGRADES = {
    3: """
ALTER TABLE mailbox ADD COLUMN acl TEXT NOT NULL DEFAULT '';
ALTER TABLE mailbox ADD COLUMN metadata TEXT NOT NULL DEFAULT '';
ALTER TABLE seen ADD COLUMN is_seen INTEGER NOT NULL DEFAULT 1;
CREATE TABLE grantee (
  account TEXT NOT NULL, mailbox INTEGER NOT NULL, identifier TEXT NOT NULL, PRIMARY KEY (account, mailbox, identifier)
) WITHOUT ROWID;
CREATE INDEX grantee_identifier ON grantee (identifier, account, mailbox)
""",
    4: "CREATE INDEX seen_modseq ON seen (account, mailbox, user, modseq)",
}

CACHE = """
CREATE TABLE parsed (
  account TEXT NOT NULL, mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, version INTEGER NOT NULL,
  blob BLOB NOT NULL, PRIMARY KEY (account, mailbox, uid)
)
"""
