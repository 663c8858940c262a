"""Other ways to compute what nobackprop computes, to hold it against."""
