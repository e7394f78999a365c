"""Fills the cache before need: fetches the hot set through it, without hurting the guest.

``warmer`` decides what to fetch when; ``client`` fetches; ``answer`` reads what came of it;
``pace`` says how fast; ``discover`` finds what a page embeds; ``refresh`` remembers what is stored
and until when.
"""
