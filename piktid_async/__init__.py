"""Asyncio SDK for the PiktID On-Model API: uploads, jobs, one event stream, acknowledgements.

Each name is imported when it is first asked for, so that a program pays for what it uses.
"""

from typing import TYPE_CHECKING

from piktid_async.version import __version__

if TYPE_CHECKING:
    from piktid_async.coordination.postgres import PostgresCoordinator
    from piktid_async.errors import (
        ActiveJobLimitError,
        AuthenticationError,
        BadRequestError,
        BudgetExceededError,
        ConfigurationError,
        ConflictError,
        ConnectionFailedError,
        DownloadError,
        EventTooLargeError,
        GenerationUnknownError,
        IdentityError,
        IdentityFailedError,
        IdentityLimitError,
        IdentityTimeoutError,
        InsufficientCreditsError,
        InvalidRequestError,
        JobAbortedError,
        JobError,
        JobFailedError,
        JobTimeoutError,
        NotFoundError,
        OutputFailedError,
        PermissionDeniedError,
        PiktidError,
        RateLimitError,
        RequestTimeoutError,
        ResponseFormatError,
        ServerError,
        SessionClosedError,
        StatusError,
        SubmissionUnknownError,
        UploadError,
        UploadGroupError,
        WebhookSignatureError,
    )
    from piktid_async.feeds import NotificationFeed
    from piktid_async.jobs import Job
    from piktid_async.models.account import (
        ApiToken,
        Asset,
        CreditUsage,
        Deletion,
        GroupMember,
        GroupUsage,
        JobSummary,
        Profile,
        ProjectSummary,
        TokenInfo,
        UsagePeriod,
    )
    from piktid_async.models.create_packshot import CreatePackshot, PackshotInstruction
    from piktid_async.models.events import (
        Acknowledgement,
        Backfill,
        DownloadFinished,
        Event,
        JobCharged,
        JobEnded,
        JobSubmitted,
        OnEvent,
        RequestAttempt,
        StreamReconnect,
        TurnWait,
        UploadFinished,
    )
    from piktid_async.models.flat_to_model import FlatToModel, ModelInstruction
    from piktid_async.models.garment_recolor import GarmentRecolor
    from piktid_async.models.identities import (
        CreateIdentity,
        Identity,
        IdentityInstruction,
        IdentityOptions,
        IdentityStatus,
        MetadataUpdate,
        PovImage,
        PovUpload,
        Promotion,
    )
    from piktid_async.models.image_playground import ImagePlayground
    from piktid_async.models.images import (
        AnnotatedImage,
        Source,
        StreamSource,
        UploadedFile,
        UploadOutcome,
        UploadProgress,
    )
    from piktid_async.models.jobs import JobProgress, JobResult, JobStatus, Output
    from piktid_async.models.limits import (
        AccountLimits,
        Estimate,
        LimitsReport,
        WaitingSubmission,
        WindowUse,
    )
    from piktid_async.models.model_swap import ModelSwap
    from piktid_async.models.notifications import (
        BatchEdit,
        IdentityPreprocessing,
        ImageResult,
        Notification,
        UnknownPayload,
    )
    from piktid_async.models.outputs import Camera, DesignValue, Lighting, OutputOptions
    from piktid_async.models.presets import (
        CategoryCopy,
        Preset,
        PresetCategory,
        PresetSuggestion,
    )
    from piktid_async.models.projects import Project
    from piktid_async.models.requests import JobRequest
    from piktid_async.models.settings import StreamSettings
    from piktid_async.models.webhooks import WebhookRegistration
    from piktid_async.results import DownloadProgress
    from piktid_async.session import Session

__all__ = [
    "AccountLimits",
    "Acknowledgement",
    "ActiveJobLimitError",
    "AnnotatedImage",
    "ApiToken",
    "Asset",
    "AuthenticationError",
    "Backfill",
    "BadRequestError",
    "BatchEdit",
    "BudgetExceededError",
    "Camera",
    "CategoryCopy",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailedError",
    "CreateIdentity",
    "CreatePackshot",
    "CreditUsage",
    "Deletion",
    "DesignValue",
    "DownloadError",
    "DownloadFinished",
    "DownloadProgress",
    "Estimate",
    "Event",
    "EventTooLargeError",
    "FlatToModel",
    "GarmentRecolor",
    "GenerationUnknownError",
    "GroupMember",
    "GroupUsage",
    "Identity",
    "IdentityError",
    "IdentityFailedError",
    "IdentityInstruction",
    "IdentityLimitError",
    "IdentityOptions",
    "IdentityPreprocessing",
    "IdentityStatus",
    "IdentityTimeoutError",
    "ImagePlayground",
    "ImageResult",
    "InsufficientCreditsError",
    "InvalidRequestError",
    "Job",
    "JobAbortedError",
    "JobCharged",
    "JobEnded",
    "JobError",
    "JobFailedError",
    "JobProgress",
    "JobRequest",
    "JobResult",
    "JobStatus",
    "JobSubmitted",
    "JobSummary",
    "JobTimeoutError",
    "Lighting",
    "LimitsReport",
    "MetadataUpdate",
    "ModelInstruction",
    "ModelSwap",
    "NotFoundError",
    "Notification",
    "NotificationFeed",
    "OnEvent",
    "Output",
    "OutputFailedError",
    "OutputOptions",
    "PackshotInstruction",
    "PermissionDeniedError",
    "PiktidError",
    "PostgresCoordinator",
    "PovImage",
    "PovUpload",
    "Preset",
    "PresetCategory",
    "PresetSuggestion",
    "Profile",
    "Project",
    "ProjectSummary",
    "Promotion",
    "RateLimitError",
    "RequestAttempt",
    "RequestTimeoutError",
    "ResponseFormatError",
    "ServerError",
    "Session",
    "SessionClosedError",
    "Source",
    "StatusError",
    "StreamReconnect",
    "StreamSettings",
    "StreamSource",
    "SubmissionUnknownError",
    "TokenInfo",
    "TurnWait",
    "UnknownPayload",
    "UploadError",
    "UploadFinished",
    "UploadGroupError",
    "UploadOutcome",
    "UploadProgress",
    "UploadedFile",
    "UsagePeriod",
    "WaitingSubmission",
    "WebhookRegistration",
    "WebhookSignatureError",
    "WindowUse",
    "__version__",
]

if not TYPE_CHECKING:  # checkers read the imports above, and find out what is no name of ours
    _NAMES = {
        "coordination.postgres": "PostgresCoordinator",
        "errors": (
            "ActiveJobLimitError AuthenticationError BadRequestError BudgetExceededError "
            "ConfigurationError ConflictError ConnectionFailedError DownloadError "
            "EventTooLargeError GenerationUnknownError IdentityError IdentityFailedError "
            "IdentityLimitError IdentityTimeoutError InsufficientCreditsError "
            "InvalidRequestError JobAbortedError JobError JobFailedError JobTimeoutError "
            "NotFoundError OutputFailedError PermissionDeniedError PiktidError RateLimitError "
            "RequestTimeoutError ResponseFormatError ServerError SessionClosedError "
            "StatusError SubmissionUnknownError UploadError UploadGroupError "
            "WebhookSignatureError"
        ),
        "feeds": "NotificationFeed",
        "jobs": "Job",
        "models.account": (
            "ApiToken Asset CreditUsage Deletion GroupMember GroupUsage JobSummary Profile "
            "ProjectSummary TokenInfo UsagePeriod"
        ),
        "models.create_packshot": "CreatePackshot PackshotInstruction",
        "models.events": (
            "Acknowledgement Backfill DownloadFinished Event JobCharged JobEnded JobSubmitted "
            "OnEvent RequestAttempt StreamReconnect TurnWait UploadFinished"
        ),
        "models.flat_to_model": "FlatToModel ModelInstruction",
        "models.garment_recolor": "GarmentRecolor",
        "models.identities": (
            "CreateIdentity Identity IdentityInstruction IdentityOptions IdentityStatus "
            "MetadataUpdate PovImage PovUpload Promotion"
        ),
        "models.image_playground": "ImagePlayground",
        "models.images": (
            "AnnotatedImage Source StreamSource UploadOutcome UploadProgress UploadedFile"
        ),
        "models.jobs": "JobProgress JobResult JobStatus Output",
        "models.limits": "AccountLimits Estimate LimitsReport WaitingSubmission WindowUse",
        "models.model_swap": "ModelSwap",
        "models.notifications": (
            "BatchEdit IdentityPreprocessing ImageResult Notification UnknownPayload"
        ),
        "models.outputs": "Camera DesignValue Lighting OutputOptions",
        "models.presets": "CategoryCopy Preset PresetCategory PresetSuggestion",
        "models.projects": "Project",
        "models.requests": "JobRequest",
        "models.settings": "StreamSettings",
        "models.webhooks": "WebhookRegistration",
        "results": "DownloadProgress",
        "session": "Session",
    }
    _HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

    def __getattr__(name: str) -> object:
        from importlib import import_module

        home = f"{__name__}.{_HOMES.get(name, name)}"
        try:
            module = import_module(home)
        except ModuleNotFoundError as error:
            if error.name != home:
                raise  # of a dependency
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
        found = getattr(module, name) if name in _HOMES else module
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
