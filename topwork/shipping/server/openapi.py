"""The addresses of a server as an OpenAPI document."""

from typing import Any

from topwork.shipping.server.settings import Settings
from topwork.version import VERSION


def described(settings: Settings) -> dict[str, Any]:
    """Return the OpenAPI document of a server."""
    token: dict[str, Any] = {"security": [{"token": []}]} if settings.token else {}
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "topwork", "version": VERSION, "description": "Classify pictures."},
        "paths": {
            "/predict": {"post": _predict(settings) | token},
            "/models": {"get": {"summary": "The models, with their classes.", **_json(_array("Model")), **token}},
            "/healthz": {"get": {"summary": "Whether the server runs.", "responses": {"200": {"description": "ok"}}}},
            "/metrics": {
                "get": {
                    "summary": "Counts and times, for Prometheus.",
                    "responses": {"200": {"description": "metrics", "content": {"text/plain": {}}}},
                    **token,
                }
            },
        },
        "components": {"schemas": _SCHEMAS},
    }
    if settings.token:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return found


def _predict(settings: Settings) -> dict[str, Any]:
    file = {"type": "string", "format": "binary"}
    form = {"type": "object", "additionalProperties": {"type": "array", "items": file}}
    errors = {
        "400": "The request is damaged, or does not say which model.",
        "401": "The token is missing or wrong.",
        "403": "The request comes from a page of another site, or names another machine.",
        "404": "There is no such model.",
        "408": f"The request was not complete after {settings.timeout:g} s.",
        "413": f"More than {settings.max_bytes:,} bytes or {settings.max_pictures} pictures.",
        "422": "The only picture of the request cannot be read.",
        "500": "The server failed; its log has the reason.",
        "503": "Too many requests are waiting, or the answer took too long.",
    }
    answer = _json(_array("Answer"))["responses"]
    return {
        "summary": "Classify pictures.",
        "description": "The body is a picture, or a form with several. Of several pictures, those that cannot be read "
        "have an error in the answer.",
        "parameters": [
            {
                "name": "model",
                "in": "query",
                "schema": {"type": "string"},
                "description": "its name; needed if several are served",
            },
            {"name": "heat", "in": "query", "schema": {"enum": ["0", "1"]}, "description": "1 adds heat maps"},
        ],
        "requestBody": {
            "required": True,
            "content": {"image/*": {"schema": file}, "multipart/form-data": {"schema": form}},
        },
        "responses": answer
        | {
            status: {"description": text, "content": {"application/json": {"schema": _ref("Error")}}}
            for status, text in errors.items()
        },
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _array(name: str) -> dict[str, Any]:
    return {"type": "array", "items": _ref(name)}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"responses": {"200": {"description": "ok", "content": {"application/json": {"schema": schema}}}}}


_NUMBER: dict[str, Any] = {"type": ["number", "null"]}
_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_SCHEMAS: dict[str, Any] = {
    "Error": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]},
    "Answer": {
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "the name of the file in the form"},
            "label": _TEXT,
            "probability": _NUMBER,
            "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
            "known": {"type": ["boolean", "null"], "description": "null if the file has no distance"},
            "distance": _NUMBER,
            "error": {"type": "string", "description": "why the picture cannot be read"},
            "heat": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "picture": _TEXT,
                        "label": {"type": "string"},
                        "method": {"type": "string"},
                        "image": {"type": "string", "description": "a JPEG as a data URI"},
                    },
                },
            },
        },
        "required": ["path", "label", "probability", "probabilities"],
    },
    "Model": {
        "type": "object",
        "properties": {
            "model": {"type": "string"},
            "labels": {"type": "array", "items": {"type": "string"}},
            "pictures": {"type": "array", "items": {"type": "string"}, "description": "of a row; empty if one"},
            "distance": {"type": ["object", "null"]},
            "accuracy": {"type": ["object", "null"]},
            "training": {"type": "object", "properties": {"pictures": {"type": ["integer", "null"]}}},
            "format": {"type": "string"},
            "precision": {"type": "string"},
        },
        "required": ["model", "labels", "pictures"],
    },
}
