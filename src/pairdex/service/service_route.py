"""The class of all routes: JSON is parsed with orjson, plain bodies go a short way, mapped files are checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, get_type_hints

import orjson
from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from pairdex.files import faults

__all__ = ["ServiceRoute", "parsed"]

_COLLECTION = "collection"  # the parameter of a query string that routes with a body have


def parsed(body: bytes) -> Any:  # noqa: ANN401 - JSON
    """Return the content of a JSON body.

    Raises
    ------
    json.JSONDecodeError
        The body is not valid JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body)  # accepts lone surrogates and NaN, which the models refuse by field


class ServiceRoute(APIRoute):
    """A route that parses its body with `parsed` and checks what mapped files it read.

    A vector of 512 numbers takes 10 µs instead of the 100 of json. A function of a request, a model and the
    name of a collection is called without FastAPI's solving of dependencies, which takes as long as all
    that this service adds to the search. Whatever is not as it should be goes FastAPI's way, which then
    says what is wrong.

    If a mapped file was cut short while the request was answered, by whichever thread, the answer may be
    wrong and is not sent.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route."""
        handler = super().get_route_handler()
        model = self._plain_model()

        async def handle(request: Request) -> Response:
            asking = _OrjsonRequest(request.scope, request.receive)
            with faults.checked("reading the collection"):
                asked = None if model is None else await asking.valid(model)
                if asked is None:
                    return await handler(asking)
                named = asking.query_params.get(_COLLECTION)
                answered: Response = await self.endpoint(asking, asked, named)
                return answered

        return handle

    def _plain_model(self) -> type[BaseModel] | None:
        """Return the model of the body, if the function takes only that and the name of a collection."""
        hints = get_type_hints(self.endpoint)
        hints.pop("return", None)
        if list(hints) != ["request", "asked", _COLLECTION]:
            return None
        model: type[BaseModel] = hints["asked"]
        return model


class _OrjsonRequest(Request):
    async def json(self) -> Any:  # noqa: ANN401 - JSON
        """Return the content of the body."""
        return parsed(await self.body())

    async def valid(self, model: type[BaseModel]) -> BaseModel | None:
        """Return the body, if it is plain JSON that the model accepts."""
        if self.headers.get("content-type") != "application/json":
            return None
        try:
            return model.model_validate(orjson.loads(await self.body()))
        except (orjson.JSONDecodeError, ValidationError):
            return None
