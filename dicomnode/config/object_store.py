"""The section about the object store: where bytes lie for all nodes, and who we are to it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from dicomnode.config.credentials import Credentials, is_on_this_machine
from dicomnode.config.section import Section
from dicomnode.decisions.policy import NotNegative, Positive
from dicomnode.errors import ConfigurationError
from inference.entry_errors import SECRET
from storage.bucket import Bucket
from storage.errors import ObjectStoreError
from storage.object_store import SCHEMES, Access, ObjectStore, open_store

_ALLOWED = "url must be as file:///folder, s3://bucket/prefix, gs://bucket or az://container"


def _store_url(url: str) -> str:
    """
    Raises:
        ValueError: it is none, or holds what belongs elsewhere; shows nothing of it.
    """
    if not url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(_ALLOWED) from None
    whole = parts.path.startswith("/") and not parts.netloc and parts.path.strip("/") != ""
    if parts.scheme != "file":
        whole = bool(re.fullmatch(r"[A-Za-z0-9][\w.\-]*", parts.netloc, re.ASCII))
    if parts.scheme not in SCHEMES or not whole or parts.query or parts.fragment:
        raise ValueError(_ALLOWED)
    return url.rstrip("/")


def _endpoint(url: str) -> str:
    """
    Raises:
        ValueError
    """
    if url and not re.fullmatch(r"https?://[\w.\-]+(:\d{1,5})?(/[\w.\-/]*)?", url, re.ASCII):
        raise ValueError("endpoint must be as https://host:port")
    return url


class ObjectStoreSettings(Section):
    """`credentials`: of s3 the access key is `user` and the secret key the secret, of az the name
    and the key of the account; of gs the secret is the JSON of a service account. Left out: what
    the environment has (AWS_…, GOOGLE_…, AZURE_…), or the machine's own role."""

    url: Annotated[str, AfterValidator(_store_url)] = ""  # empty: none
    endpoint: Annotated[str, AfterValidator(_endpoint)] = ""
    region: str = ""
    credentials: Annotated[Credentials | None, Field(json_schema_extra=SECRET)] = None
    timeout_seconds: Positive = 30.0
    seal_after_seconds: NotNegative = 10.0
    cache_gib: NotNegative = 200.0

    @model_validator(mode="after")
    def _fits_the_store(self) -> Self:
        who, scheme = self.credentials, self.url.partition(":")[0]
        if (self.endpoint or self.region) and scheme != "s3":
            raise ValueError("endpoint and region go with s3 only")
        if who and scheme in ("", "file"):
            raise ValueError("credentials go with s3, gs and az only")
        if who and scheme != "gs" and not who.user:
            raise ValueError("credentials need user: the access key, or the name of the account")
        if who and self.endpoint.startswith("http:") and not is_on_this_machine(self.endpoint):
            raise ValueError("credentials need https: else the whole network can read them")
        return self

    def anchored(self, folder: Path) -> Self:
        """A relative path is taken from this folder."""
        credentials = self.credentials and self.credentials.anchored(folder)
        return self.model_copy(update={"credentials": credentials})

    def opened(self) -> ObjectStore:
        """The store, with the credentials as they are now; there must be one.

        Raises:
            ObjectStoreError: as `open_store`; or there is no secret.
        """
        return open_store(self._access(self.url))

    def bucket(self, url: str) -> Bucket:
        """Another one of the same server and credentials; of another kind of store with those of
        the environment.

        Raises:
            ObjectStoreError: as `opened`; or the address is that of no bucket.
        """
        try:
            place = _store_url(url)
        except ValueError as error:
            raise ObjectStoreError(str(error)) from None
        if place.partition(":")[0] in ("", "file"):
            raise ObjectStoreError("a folder is none: a bucket is as s3://bucket/prefix")
        if place.partition(":")[0] != self.url.partition(":")[0]:
            return Bucket(Access(place, {}, self.timeout_seconds))
        return Bucket(self._access(place))

    def _access(self, url: str) -> Access:
        try:
            options = {"endpoint": self.endpoint, "region": self.region} | self._identity()
        except ConfigurationError as error:
            raise ObjectStoreError(str(error)) from None
        kept = {key: value for key, value in options.items() if value}
        return Access(url, kept, self.timeout_seconds)

    def _identity(self) -> dict[str, str]:
        if self.credentials is None:
            return {}
        secret, user = self.credentials.secret(), self.credentials.user
        match self.url.partition(":")[0]:
            case "s3":
                return {"access_key_id": user, "secret_access_key": secret}
            case "az":
                return {"account_name": user, "account_key": secret}
            case _:
                return {"service_account_key": secret}
