"""The routes of all pages. Each module of a page has a class with `routes`, which takes the open service."""

from starlette.routing import Route

from gateway.console.pages.keys import KeysPage
from gateway.console.pages.map import MapPage
from gateway.console.pages.models import ModelsPage
from gateway.console.pages.one_request import OneRequestPage
from gateway.console.pages.overview import OverviewPage
from gateway.console.pages.playground import PlaygroundPage
from gateway.console.pages.replay import ReplayPage
from gateway.console.pages.requests import RequestsPage
from gateway.console.pages.try_request import TryPage
from gateway.http.service import Service


def page_routes(service: Service) -> list[Route]:
    """All pages that need a session."""
    return [
        *OverviewPage(service).routes(),
        *OneRequestPage(service).routes(),
        *RequestsPage(service).routes(),
        *MapPage(service).routes(),
        *ModelsPage(service).routes(),
        *KeysPage(service).routes(),
        *ReplayPage(service).routes(),
        *PlaygroundPage(service).routes(),
        *TryPage(service).routes(),
    ]
