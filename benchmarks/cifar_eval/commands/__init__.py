"""The command lines of this package; nothing else imports them."""
