"""Receipts that leave the house: signed, with the key to check them by."""

from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.endpoint import Endpoint
from api.holds import need_account
from api.retention_examples import SIGNING_KEY
from api.schema import PROBLEM_REF, operation
from retention.exports import export, published_key


class ExportRuns(Endpoint):
    """The receipts, signed."""

    scopes = {"GET": "retention:read"}

    @extend_schema(
        operation_id="retention_export_runs",
        summary="Export receipts, signed",
        tags=["retention"],
        responses={
            (200, "application/jsonl"): {"type": "string"},
            ("4XX", "application/problem+json"): PROBLEM_REF,
        },
        examples=[
            OpenApiExample(
                "Answer",
                value='{"head":{"account":"acc_…","format":"policyhub-receipts/1"}}',
                response_only=True,
                status_codes=["200"],
                media_type="application/jsonl",
            )
        ],
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Export the receipts of runs that have ended as signed JSON lines.

        `docs/verify_receipts.py` and `manage.py verify_receipts` check them offline.
        """
        caller = self.caller
        need_account(caller)
        lines = export(account=caller.account, now=timezone.now())
        name = f"policyhub-receipts-{caller.account.slug}.jsonl"
        return StreamingHttpResponse(
            (f"{line}\n" for line in lines),
            content_type="application/jsonl; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


class SigningKey(Endpoint):
    """The public key of the exports."""

    scopes = {"GET": "retention:read"}

    @operation(
        "retention_signing_key",
        "Read the key that signs receipts",
        answer=inline_serializer(
            "SigningKey",
            {
                "algorithm": serializers.CharField(),
                "key_id": serializers.CharField(),
                "public_key": serializers.CharField(),
            },
        ),
        shows=SIGNING_KEY,
    )
    def get(self, request: Request) -> Response:
        """Read the public key by which exports of receipts are checked."""
        return Response(published_key())
