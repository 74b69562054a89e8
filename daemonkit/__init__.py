"""What the daemons share: the reactor, logs, and a control channel that never gives up. No Django in here."""
