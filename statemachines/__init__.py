"""The rules: one file is the truth of one machine. No socket, clock, file or log is known here."""
