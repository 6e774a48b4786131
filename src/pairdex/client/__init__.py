"""Clients of a running service: `pairdex.Client(url).search("a red car")`, and one to await."""

from pairdex.client.answers import Contained, Hit, PictureFound, SearchAnswer
from pairdex.client.asynchronous import AsyncClient
from pairdex.client.sync import Client

__all__ = ["AsyncClient", "Client", "Contained", "Hit", "PictureFound", "SearchAnswer"]
