"""Two-stage recognition, measured: codes choose candidates, cosines decide."""
