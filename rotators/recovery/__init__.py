"""Recovery from failed rotations: `examination` tries the versions, `diagnosis` decides, `mending` acts."""
