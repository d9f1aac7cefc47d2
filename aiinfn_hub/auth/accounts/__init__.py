"""Whose an account is: each user name of the hub belongs to one person, told by issuer and subject."""
