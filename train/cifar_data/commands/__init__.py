"""The command line of this package; nothing else imports it."""
