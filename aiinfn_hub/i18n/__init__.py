"""Catalogues of sentences and the language of the person who is answered."""
