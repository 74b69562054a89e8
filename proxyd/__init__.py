"""The proxy: browsers in front, one backend behind each token. Imports no Django and no other daemon."""
