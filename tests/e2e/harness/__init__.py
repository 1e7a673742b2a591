"""What the end-to-end tests are made of: a BMP speaker, a TCP cutter, clusters of real processes, and verdicts."""
