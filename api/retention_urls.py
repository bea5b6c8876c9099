"""The paths of retention, legal holds and erasure."""

from django.urls import path

from api import conversations, holds, receipts, retention, run_actions, users

_MESSAGE = "v1/conversations/<str:conversation_id>/messages/<str:message_id>"
_HOLD = "v1/retention/holds/<str:hold_id>"
_RUN = "v1/retention/runs/<str:run_id>"

urlpatterns = [
    path(_MESSAGE, conversations.OneMessage.as_view()),
    path("v1/retention/preview", retention.RetentionPreview.as_view()),
    path("v1/retention/pending", retention.RetentionPending.as_view()),
    path("v1/retention/runs", retention.Runs.as_view()),
    path("v1/retention/runs/export", receipts.ExportRuns.as_view()),
    path("v1/retention/signing-key", receipts.SigningKey.as_view()),
    path(_RUN, retention.OneRun.as_view()),
    path(f"{_RUN}/confirm", retention.ConfirmRun.as_view()),
    path(f"{_RUN}/pause", run_actions.PauseRun.as_view()),
    path(f"{_RUN}/resume", run_actions.ResumeRun.as_view()),
    path("v1/retention/holds", holds.Holds.as_view()),
    path(_HOLD, holds.OneHold.as_view()),
    path(f"{_HOLD}/release", holds.ReleaseHold.as_view()),
    path("v1/users/<path:user>/data", users.UserData.as_view()),
]
