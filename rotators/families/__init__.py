"""What several credential types share: a protocol, a driver, a catalogue. No credential type of its own."""
