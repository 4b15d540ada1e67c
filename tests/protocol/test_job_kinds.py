"""What each kind of job sends is what its page shows, and what the page answers is read.

A sample's `defaults` are the documented values that we send in so many words and the page leaves
out, or the instructions that it has dots for.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from piktid_async import (
    AnnotatedImage,
    Camera,
    CreatePackshot,
    DesignValue,
    FlatToModel,
    GarmentRecolor,
    ImagePlayground,
    InsufficientCreditsError,
    InvalidRequestError,
    JobRequest,
    Lighting,
    ModelInstruction,
    ModelSwap,
    OutputOptions,
    PackshotInstruction,
    UploadedFile,
)
from piktid_async.protocol import codec, endpoints
from piktid_async.protocol.feed import read_notification
from piktid_async.protocol.messages import Response

WIRE = Path(__file__).parents[1] / "wire"
FREE = PackshotInstruction(style="free")
PACKSHOT: dict[str, Any] = {
    "project": "abc123...",
    "images": ["img_001...", "img_002..."],
    "instructions": [FREE],
}
FLAT: dict[str, Any] = {
    "identity": "id_xyz...",
    "project": "abc123...",
    "images": ["sku_001...", "sku_002..."],
}

SENT: dict[str, JobRequest] = {
    "create_packshot": CreatePackshot(
        **PACKSHOT
        | {
            "instructions": [
                PackshotInstruction(
                    style="ghost_mannequin",
                    background="white studio",
                    framing="tall_3_4",
                    angle="three_quarter",
                    shadow="contact",
                    num_variations=3,
                    options=OutputOptions(size="2K", ar="3:4", format="jpg"),
                ),
                PackshotInstruction(
                    style="flat_lay",
                    surface="linen",
                    shadow="natural",
                    options=OutputOptions(size="2K", ar="1:1", format="jpg"),
                ),
            ]
        }
    ),
    "create_packshot_options": CreatePackshot(
        **PACKSHOT, model="nano_banana_pro", use_anchor=True, anchor_index=0
    ),
    "create_packshot_notes": CreatePackshot(
        **PACKSHOT
        | {
            "images": [
                AnnotatedImage("img_001...", "front view, hanger removed in post"),
                AnnotatedImage("img_002...", "back view, same garment"),
                AnnotatedImage("img_003...", "detail of printed lining"),
            ]
        }
    ),
    "create_packshot_post_process": CreatePackshot(**PACKSHOT, post_process=True),
    "create_packshot_reference": CreatePackshot(
        project="string", images=["string"], instructions=[PackshotInstruction(style="flat_lay")]
    ),
    "flat_to_model": FlatToModel(
        **FLAT,
        instructions=[
            ModelInstruction(
                pose="standing front-facing",
                expression="neutral",
                background="white studio",
                lighting="soft",
                camera=Camera(framing="full body", angle="eye level"),
                options=OutputOptions(size="2K", ar="9:16", format="jpg"),
            ),
            ModelInstruction(
                pose="walking, mid-stride",
                expression="confident",
                mood="editorial",
                background="gym rooftop at golden hour",
                lighting="dramatic",
                camera=Camera(framing="three-quarter", angle="low angle"),
                options=OutputOptions(size="2K", ar="3:4", format="png"),
            ),
        ],
    ),
    "flat_to_model_options": FlatToModel(**FLAT, model="nano_banana_pro", use_anchor=False),
    "flat_to_model_watermark": FlatToModel(**FLAT, add_ai_watermark=True),
    "flat_to_model_notes": FlatToModel(
        **FLAT
        | {
            "images": [
                AnnotatedImage("sku_001...", "tucked into pants"),
                AnnotatedImage("sku_002...", "slim fit, cuffed at ankles"),
                AnnotatedImage("sku_003..."),
            ]
        }
    ),
    "flat_to_model_post_process": FlatToModel(**FLAT, post_process=True),
    "flat_to_model_reference": FlatToModel(identity="string", project="string", images=["string"]),
    "model_swap": ModelSwap(identity="string", project="string", images=["string"]),
    "image_playground": ImagePlayground(
        prompt="A bottle of amber perfume half-submerged in a calm ocean at sunset, photorealistic."
    ),
    "image_playground_edit": ImagePlayground(
        prompt="Place this sneaker on a wet city street at night with neon reflections.",
        images=["img_001..."],
    ),
    "image_playground_identity": ImagePlayground(
        prompt="Full-body editorial shot of the model in a beige trench coat, studio backdrop.",
        identities=["default-pro-xxxxxxxx"],
    ),
    "image_playground_conversation": ImagePlayground(
        prompt="Warm the lighting and add a soft rim light on the left.",
        conversation="job_abc123...",
    ),
    "image_playground_reference": ImagePlayground(prompt="string"),
}


def sample(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((WIRE / f"{name}.json").read_text(encoding="utf-8"))
    return content


def answer(name: str) -> Response:
    shown = sample(name)["response"]
    return Response(status=shown["status"], body=json.dumps(shown["json"]).encode())


def filled(shown: Any, defaults: Any) -> Any:
    """Lay what the page shows over the defaults."""
    if isinstance(shown, dict) and isinstance(defaults, dict):
        both = {key: filled(shown[key], defaults[key]) for key in shown.keys() & defaults.keys()}
        return {**defaults, **shown, **both}
    if isinstance(shown, list) and isinstance(defaults, list):
        return [filled(one, other) for one, other in zip(shown, defaults, strict=True)]
    return shown


def body(request: JobRequest) -> dict[str, Any]:
    sent = endpoints.submit(request).request.json
    assert isinstance(sent, dict)
    return sent


@pytest.mark.parametrize("name", SENT)
def test_what_is_sent_is_what_the_page_shows(name):
    sent = endpoints.submit(SENT[name]).request
    shown = sample(name)["request"]
    assert (sent.method, sent.path) == (shown["method"], shown["path"])
    assert sent.json == filled(shown["json"], sample(name)["defaults"])
    assert not sent.replayable


@pytest.mark.parametrize(
    ("name", "ticket"),
    [
        ("create_packshot", ("job_abc123...", "pending", 4)),
        ("create_packshot_reference", ("string", "string", 0)),
        ("flat_to_model", ("job_abc123...", "pending", 2)),
        ("flat_to_model_reference", ("string", "string", 0)),
        ("model_swap", ("string", "string", None)),
        ("image_playground", ("job_abc123...", "processing", None)),
        ("image_playground_reference", ("string", "string", None)),
    ],
)
def test_the_answer_to_a_submission_is_read(name, ticket):
    assert attrs.astuple(endpoints.submit(SENT[name]).parse(answer(name))) == ticket


@pytest.mark.parametrize("name", ["create_packshot", "flat_to_model"])
def test_the_page_counts_outputs_as_we_do(name):
    assert sample(name)["response"]["json"]["total_outputs"] == SENT[name].total_outputs


def test_missing_credits_are_told():
    with pytest.raises(InsufficientCreditsError, match="Insufficient credits to create job") as no:
        endpoints.submit(SENT["create_packshot"]).parse(answer("create_packshot_402"))
    assert (no.value.required_credits, no.value.in_progress_credits) == (20, 5)
    assert no.value.user_credits == 12


@pytest.mark.parametrize(
    ("kind", "engines"),
    [
        (CreatePackshot, ["nano_banana_pro", "nano_banana_pro"]),
        (FlatToModel, ["nano_banana_pro", "seedream"]),
        (ImagePlayground, ["nano_banana_2"]),
    ],
)
def test_results_are_read(kind, engines):
    name = {"create_packshot": "create_packshot", "flat_2_model": "flat_to_model"}.get(
        kind.kind, "image_playground"
    )
    result = endpoints.job_results("job_abc123...").parse(answer(f"{name}_results"))
    assert (result.kind, result.status) == (kind.kind, "completed")
    assert [output.key for output in result.ok] == [(n, 0, 0) for n in range(len(engines))]
    assert [output.model_used for output in result.outputs] == engines
    assert result.outputs[0].url == "https://cdn.example/0.png"
    assert result.outputs[0].thumbnail_url == "https://cdn.example/0_t.png"


@pytest.mark.parametrize(
    ("name", "kind", "counts"),
    [("create_packshot", "create_packshot", (2, 4)), ("flat_to_model", "flat_2_model", (1, 2))],
)
def test_the_status_is_read(name, kind, counts):
    status = endpoints.job_status("job_abc123...").parse(answer(f"{name}_status"))
    assert (status.job_type, status.status, status.progress) == (kind, "processing", 50)
    assert (status.processed_images, status.total_images) == counts


@pytest.mark.parametrize(("name", "total"), [("create_packshot", 4), ("flat_to_model", 2)])
def test_the_end_of_a_job_is_read(name, total):
    wire = read_notification(json.dumps(sample(f"{name}_batch_edit")["notification"]))
    payload = codec.notification(wire).payload
    assert wire.job_id == "job_abc123..."
    assert attrs.astuple(payload) == ("completed", total, total, None)


def test_an_image_of_a_generation_is_read():
    shown = sample("image_playground_image_result")["notification"]
    output = codec.output_from_event(read_notification(json.dumps(shown)))
    assert output is not None
    assert (output.job_id, output.key) == ("job_abc123...", (0, 0, 0))
    assert output.url == "https://cdn.example/0.png"


# What no page shows in one piece


def test_every_field_of_a_packshot_instruction_goes_out_under_its_documented_name():
    instruction = PackshotInstruction(
        style="marketing_ready",
        background=DesignValue("beach", UploadedFile(file_id="f", filename="", content_type="")),
        composition=3,
        props=DesignValue(image="g"),
        color_palette="sand",
        lighting=Lighting(direction="left", quality="soft", complexity="two lights"),
        framing="full_frame",
        angle="front",
        shadow="none",
        prompt="windy",
        seed=7,
        num_variations=2,
        preset_name="Beach",
        category_names=["Summer", "Sea"],
        options=OutputOptions(width=512, height=1024, seed=8, format="png"),
    )
    assert body(CreatePackshot(**PACKSHOT | {"instructions": [instruction]}))["instructions"] == [
        {
            "style": "marketing_ready",
            "background": {"text": "beach", "image": "f"},
            "composition": 3,
            "props": {"image": "g"},
            "color_palette": "sand",
            "lighting": {"direction": "left", "quality": "soft", "complexity": "two lights"},
            "framing": "full_frame",
            "angle": "front",
            "shadow": "none",
            "prompt": "windy",
            "seed": 7,
            "num_variations": 2,
            "preset_name": "Beach",
            "category_names": ["Summer", "Sea"],
            "options": {"width": 512, "height": 1024, "seed": 8, "format": "png"},
        }
    ]


def test_every_field_of_a_model_instruction_goes_out_under_its_documented_name():
    with pytest.warns(DeprecationWarning, match="angle"):
        instruction = ModelInstruction(
            pose="walking",
            expression=0,
            mood="calm",
            camera=Camera(framing="full body", angle="low", lens="85 mm", aperture="f/2"),
            lighting=Lighting(quality="soft"),
            background="street",
            style="editorial",
            color_palette=DesignValue("warm"),
            prompt="",
            seed=0,
            num_variations=8,
            angle="front",
            preset_name="Street",
            category_names=["City"],
            options=OutputOptions(size="4K", ar="16:9", format="jpg"),
        )
    assert body(FlatToModel(**FLAT, instructions=[instruction]))["instructions"] == [
        {
            "pose": "walking",
            "expression": 0,
            "mood": "calm",
            "camera": {"framing": "full body", "angle": "low", "lens": "85 mm", "aperture": "f/2"},
            "lighting": {"quality": "soft"},
            "background": "street",
            "style": "editorial",
            "color_palette": {"text": "warm"},
            "prompt": "",
            "seed": 0,
            "num_variations": 8,
            "angle": "front",
            "preset_name": "Street",
            "category_names": ["City"],
            "options": {"size": "4K", "ar": "16:9", "format": "jpg"},
        }
    ]


def test_a_ratio_and_a_custom_size_go_out_at_the_top():
    ratio = ImagePlayground(prompt="a", output_mode="ratio", aspect_ratio="21:9", size="1K")
    assert body(ratio) == {
        "prompt": "a",
        "model": "auto",
        "size": "1K",
        "num_variations": 1,
        "output_mode": "ratio",
        "aspect_ratio": "21:9",
    }
    custom = body(ImagePlayground(images=["i"], output_mode="custom", width=512, height=256))
    assert (custom["output_mode"], custom["width"], custom["height"]) == ("custom", 512, 256)
    assert "prompt" not in custom


def test_swap_options_go_out_as_they_are():
    options = {"hair": {"keep": True}, "strength": 0.5, "regions": ["face", None]}
    request = ModelSwap(identity="id", project="p", images=["i"], swap_options=options)
    assert body(request)["swap_options"] == options


def test_the_anchor_is_named_only_where_there_is_one():
    anchored = CreatePackshot(
        **PACKSHOT | {"instructions": [FREE, FREE]}, use_anchor=True, anchor_index=1
    )
    assert body(anchored)["options"]["anchor_index"] == 1
    assert "anchor_index" not in body(CreatePackshot(**PACKSHOT))["options"]
    # Without instructions there is none that an index could name.
    assert "anchor_index" not in body(FlatToModel(**FLAT))["options"]
    assert "instructions" not in body(FlatToModel(**FLAT))


def test_a_note_goes_out_only_where_there_is_one():
    images = ["img_1", AnnotatedImage("img_2", "back view"), AnnotatedImage("img_3")]
    recolor = GarmentRecolor(project="p", images=images, reference_text="red")
    # Whether a recolor takes objects is not documented: it gets one only for a note.
    assert body(recolor)["images"] == ["img_1", {"file_id": "img_2", "note": "back view"}, "img_3"]


def test_a_request_of_a_strange_class_is_refused():
    class Strange(ModelSwap):
        pass

    with pytest.raises(InvalidRequestError, match="Strange is no job request"):
        endpoints.submit(Strange(identity="id", project="p", images=["i"]))
