"""A Django database backend whose connections outlive rotations."""
