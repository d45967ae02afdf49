"""The directory side: model, profiles, tracker, replica, authenticator, embedded slapd."""
