"""What to do when a rotation has gone wrong: `examination` looks, `diagnosis` decides, `mending` acts."""
