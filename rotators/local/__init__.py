"""A faithful local AWS on moto, and real database servers; Lambda needs none of it."""
