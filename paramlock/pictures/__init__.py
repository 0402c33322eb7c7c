"""How results are shown: colours, figures and tables."""
