# Prints the mutants that no test detected, from the output of `mutmut results --all true`, and the score.
# A mutant with an endless loop is detected by the time limit.
/: not checked$/ { next }
/: (killed|timeout)$/ { detected++; next }
/: no tests$/ { unreached++ }
/: survived$/ { survived++ }
{ print }
END {
  reached = detected + survived
  printf "%d of %d mutants detected (%.0f %%)", detected, reached, reached ? 100 * detected / reached : 0
  printf "; %d more are in code that no unit test reaches\n", unreached
}
