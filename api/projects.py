"""Projects: create, list, read, change, archive."""

from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import Forbidden, InvalidBody
from accounts.models import Project
from accounts.selectors import project_of, projects
from accounts.services import archive_project, create_project, update_project
from api import examples
from api.callers import Caller
from api.endpoint import Endpoint
from api.fields import Body, Text
from api.listing import PAGING, each, listed
from api.schema import filters, operation, page, page_of


class ProjectBody(Body):
    """What a project is told to be."""

    name = Text(max_length=200)
    external_id = Text(max_length=200, allow_null=True, default=None)
    description = Text(max_length=2000, allow_blank=True, default="", lines=True)


class ProjectAnswer(serializers.Serializer[Project]):
    """A project."""

    id = serializers.CharField(source="public_id")
    name = serializers.CharField()
    external_id = serializers.CharField(allow_null=True)
    description = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    if (values.get("external_id") or "").startswith("prj_"):
        # It would be taken for an id.
        detail = "must not start with prj_"
        raise InvalidBody(errors=[{"pointer": "/external_id", "detail": detail}])
    return values


def _need_account(caller: Caller) -> None:
    if caller.project is not None:
        raise Forbidden("A key of a project may not do this.")
    caller.need_unbound()


class Projects(Endpoint):
    """The projects of an account, the oldest first."""

    scopes = {"GET": "projects:read", "POST": "projects:write"}
    queries = PAGING | {"external_id"}

    @operation(
        "projects_list",
        "List projects",
        answer=page_of(ProjectAnswer, "ProjectPage"),
        shows=page(examples.PROJECT),
        parameters=filters(external_id="the project with this external id"),
    )
    def get(self, request: Request) -> Response:
        """List projects."""
        rows = projects(self.caller.account, project=self.caller.project)
        external_id = self.query("external_id")
        if external_id is not None:
            rows = rows.filter(external_id=external_id)
        return listed(request, rows, show=each(ProjectAnswer))

    @operation(
        "projects_create",
        "Create a project",
        request=ProjectBody,
        sends=examples.PROJECT_SENT,
        answer=ProjectAnswer,
        shows=examples.PROJECT,
        status=201,
    )
    def post(self, request: Request) -> Response:
        """Create a project."""
        now, caller = timezone.now(), self.caller
        _need_account(caller)
        values = _checked(self.body(ProjectBody))
        project = create_project(
            account=caller.account, actor=caller.actor, now=now, **values
        )
        return Response(ProjectAnswer(project).data, status=201)


class OneProject(Endpoint):
    """One project."""

    scopes = {
        "GET": "projects:read",
        "PATCH": "projects:write",
        "DELETE": "projects:write",
    }

    @operation(
        "projects_read", "Read a project", answer=ProjectAnswer, shows=examples.PROJECT
    )
    def get(self, request: Request, project_id: str) -> Response:
        """Read a project."""
        return Response(ProjectAnswer(self._found(project_id)).data)

    @operation(
        "projects_update",
        "Change a project",
        request=ProjectBody,
        sends={"name": "Support, Europe"},
        answer=ProjectAnswer,
        shows={**examples.PROJECT, "name": "Support, Europe"},
    )
    def patch(self, request: Request, project_id: str) -> Response:
        """Change what is named and leave the rest."""
        caller, project = self.caller, self._found(project_id)
        _need_account(caller)
        changes = _checked(self.body(ProjectBody, partial=True))
        changed = update_project(
            project=project, changes=changes, actor=caller.actor, now=timezone.now()
        )
        return Response(ProjectAnswer(changed).data)

    @operation(
        "projects_archive", "Archive a project", answer=None, shows=None, status=204
    )
    def delete(self, request: Request, project_id: str) -> Response:
        """Archive a project without bots, and revoke its keys."""
        caller, project = self.caller, self._found(project_id)
        _need_account(caller)
        archive_project(project=project, actor=caller.actor, now=timezone.now())
        return Response(status=204)

    def _found(self, project_id: str) -> Project:
        caller = self.caller
        return project_of(caller.account, project_id, project=caller.project)
