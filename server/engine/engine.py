"""The engine: a request in, a picture out, over diffusers' modules with a denoising loop of its own. No sockets.

A frame goes: upload, draft to latent (encode), depth to features (once a frame), UNet calls, latent to picture
(decode), download. Everything that does not depend on the frame's pixels is made once and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import T2IAdapter
from numpy.typing import NDArray

from addon.wire import Frame, Request, Style

from .acceleration.compiled import Compiler
from .acceleration.fast import quicken, quicken_autoencoder
from .acceleration.graphs import CudaGraphs, RecordedPipeline
from .acceleration.threads import Threads
from .beginning import Beginning
from .conditioning.conditions import Conditions
from .conditioning.guides import Guides
from .conditioning.inputs import Inputs
from .conditioning.style_picture import StylePicture
from .conditioning.text import PromptEncoder
from .devices import Stopwatch, choose, cpu_threads, give_back_freed
from .errors import EngineError
from .images import Transfer
from .loading.compatibility import check_request
from .loading.inspection import inspect
from .loading.load import Progress, load_parts
from .loading.memory import check_memory, check_picture, loading_dtype, shortage_told
from .loading.parts import Parts
from .quiet_libraries import quiet
from .rendered import STAGES, Rendered
from .sampling.batching import join_calls, join_depths
from .sampling.history import History
from .sampling.pipeline import Call, Pipeline
from .spec import LoraFile, ModelSpec

OnStep = Callable[[int, int], None]


class StableDiffusionLcm:
    """A loaded model. Made by :meth:`load`; everything else is called from one thread only.

    The same request gives the same picture on one device, on a CPU bit for bit with as many threads; noise is drawn
    on the CPU, so that a seed means the same noise on every device.
    """

    def __init__(
        self,
        parts: Parts,
        device: str = "auto",
        dtype: torch.dtype | None = None,
        eager: bool = False,
        compiled: bool = False,
    ) -> None:
        """``eager``: record no kernels, pack no weights; ``compiled``: by torch.compile, from when that is done."""
        place = choose(device, dtype)
        self._device, self._dtype = place.device, place.dtype
        self._threads = Threads(cpu_threads() if self._device.type == "cpu" else None)
        self.name, self.left_out = parts.name, " ".join(parts.left_out)
        self.device, self.control = str(place.device), parts.control_name
        self._schedule = parts.schedule
        self._loras = parts.loras
        quicken_autoencoder(parts.vae, fold=self._device.type == "cpu")
        # SDXL's autoencoder overflows in fp16
        upcast = self._dtype == torch.float16 and getattr(parts.vae.config, "force_upcast", False)
        vae_dtype = torch.float32 if upcast else self._dtype
        control = None if parts.control is None else self._place(parts.control)
        is_adapter = isinstance(control, T2IAdapter)
        self._pipeline = Pipeline(
            self._place(parts.unet),
            self._place(parts.vae, vae_dtype),
            self._dtype,
            adapter=control if is_adapter else None,
            control=None if is_adapter else control,
            vae_dtype=vae_dtype,
            stretch_depth=parts.stretch_depth,
        )
        if not eager:
            quicken(self._pipeline)
        self._conditions = Conditions(self._pipeline.quick, self._pipeline.quick_control)
        self._sums: Pipeline | RecordedPipeline = self._pipeline
        if self._device.type == "cuda" and not eager:
            compiler = Compiler(self._pipeline) if compiled else None
            self._sums = RecordedPipeline(self._pipeline, CudaGraphs(self._device), compiler=compiler)
        self._size_step = parts.size_step
        texts = [(tokenizer, self._place(encoder)) for tokenizer, encoder in parts.texts]
        self._text = PromptEncoder(texts, self._device, self._dtype, parts.blank_negative)
        self._text.inversions.use_bundled(parts.loras.bundled)
        self._style = None if parts.pictures is None else StylePicture(parts.pictures, self._pipeline, self._place)
        self._modules = [module for _, module in texts]
        self._transfer, self._watch = Transfer(self._device), Stopwatch(self._device)
        channels = self._pipeline.unet.config.in_channels
        self._inputs = Inputs(parts.schedule, channels, parts.latent_scale, self._device, self._dtype, parts.sampler)
        self._beginning = Beginning(self._inputs, self._transfer, self._watch)
        width = self._pipeline.unet.config.time_cond_proj_dim
        self._guides = Guides(self._text, self._inputs, width, self._style)

    @classmethod
    def load(
        cls,
        source: ModelSpec | str | Path,
        device: str = "auto",
        progress: Progress | None = None,
        dtype: torch.dtype | None = None,
        compiled: bool = False,
    ) -> StableDiffusionLcm:
        """Load the model ``source``, a spec or the path of its base. Raises EngineError.

        ``progress`` is called with a fraction from 0 to 1 that never falls, and words. ``dtype`` overrides the
        precision that suits the device. ``compiled``: have torch.compile make frames faster, on CUDA, while they
        are made already.
        """
        report = progress or (lambda fraction, words: None)
        report(0.0, "looking at the model")
        spec = source if isinstance(source, ModelSpec) else ModelSpec(Path(source))
        place = choose(device, dtype)  # a wrong device is told at once, not after minutes of loading
        files = inspect(spec)
        check_memory(files, place)
        with shortage_told(f"loading model {str(spec.base)!r}"):
            with quiet():
                parts = load_parts(files, report, loading_dtype(files, place))
                engine = cls(parts, device, dtype, compiled=compiled)
            report(0.97, "warming up")
            engine._warm_up()
        report(1.0, "ready")
        return engine

    @property
    def memory_bytes(self) -> int:
        """What the model's weights take."""
        pipeline = self._pipeline
        modules = [pipeline.unet, pipeline.vae, pipeline.adapter, pipeline.control, *self._modules]
        modules += [] if self._style is None else [self._style.encoder]
        return sum(weight.nbytes for module in modules if module is not None for weight in module.state_dict().values())

    @property
    def compiling(self) -> bool:
        """Whether something is being compiled beside the frames, which will be faster then."""
        return isinstance(self._sums, RecordedPipeline) and self._sums.compiling

    def use_loras(self, loras: tuple[LoraFile, ...]) -> None:
        """Have exactly ``loras`` in the next picture, beside those that the model was loaded with.

        Raises EngineError, and keeps those in use then, where one of them does not fit the model; where memory runs
        out, none may be. One in use is not read again when its weight changes; the same ones again cost nothing.
        """
        with quiet(), shortage_told("the LoRAs", self._free):
            changed = self._loras.use(loras)
            self._text.inversions.use_bundled(self._loras.bundled)
        if changed - {"unet"}:
            self._text.forget()
        if "unet" in changed:
            self._conditions.forget()

    def use_embeddings(self, files: Mapping[str, Path]) -> None:
        """Have the textual inversions ``files``, .safetensors by the names that prompts give them, in the next picture.

        Raises EngineError where one cannot be read; one for another family of models is plain words.
        """
        self._text.inversions.use(files)

    def use_reference(self, image: NDArray[np.uint8] | None, weight: float = 1.0) -> None:
        """Have the next pictures follow the style picture ``image``, uint8 H x W x 3, or none.

        ``weight``: from 0, which is none, to 2. Raises EngineError where the model has no IP-Adapter.
        """
        if self._style is not None:
            self._style.use(image, weight)
        elif image is not None and weight > 0:
            raise EngineError(
                f"a style picture is given, but the model {self.name} has no IP-Adapter: take the style picture away, "
                "or load the model with an IP-Adapter",
                "bad_request",
            )

    def history(self) -> History:
        """A memory for the pictures of one client, to be handed to :meth:`render`; of this engine's device."""
        return History()

    def render(self, request: Request, on_step: OnStep | None = None, history: History | None = None) -> Rendered:
        """The picture of ``request``. Raises EngineError.

        ``on_step(step, steps)`` is called with step 0 at the start and after each UNet call. The draft and its
        depth are stretched to the style's width and height. At strength 1 the draft's colours play no part.
        ``history``: what was painted before; surfaces that it shows stay as firmly as ``steady`` in the style says,
        where ``after`` in the request is one of its pictures. This picture becomes part of it.
        """
        return self.render_batch([request], on_step, history)[0]

    def render_batch(
        self, requests: Sequence[Request], on_step: OnStep | None = None, history: History | None = None
    ) -> list[Rendered]:
        """The pictures of ``requests``, with their UNet calls in one go. Raises EngineError.

        Their styles differ in nothing but words and seed, all have depth or none, and where there are several none is
        steady or has a plane of strength. Otherwise as :meth:`render`, but for rounding; ``timings`` are those of all.
        """
        style = requests[0].style
        has_control = self._pipeline.adapter is not None or self._pipeline.control is not None
        for request in requests:
            check_request(request, self.name, self._size_step, {"depth"} if has_control else ())
        kind = style.width, style.height, style.steps, style.strength, len(requests)
        task = f"a picture of {style.width} x {style.height}"
        check_picture(style, len(requests), self._pipeline, self._device, task)
        with shortage_told(task, self._free), self._threads.frame(kind):
            return self._render(requests, on_step or (lambda step, steps: None), history)

    def close(self) -> None:
        """Give the model's memory back. The engine cannot be used afterwards."""
        self._free()
        self._sums = self._pipeline = self._text = self._loras = self._style = None  # type: ignore[assignment]
        self._conditions = self._guides = None  # type: ignore[assignment]
        self._modules = []
        give_back_freed()

    @torch.inference_mode()
    def _render(self, requests: Sequence[Request], on_step: OnStep, history: History | None = None) -> list[Rendered]:
        style = requests[0].style
        pipeline, watch = self._sums, self._watch
        watch.start()
        if isinstance(pipeline, RecordedPipeline):
            pipeline.begin()
        on_step(0, style.steps)
        with watch.stage("text"):
            guide = self._guides.of([request.style for request in requests], self._loras.in_use)
        if guide is None:  # a longer text would have the shorter ones' pictures changed
            return [rendered for request in requests for rendered in self._render([request], on_step)]
        rows = guide.text.shape[0] // len(requests)
        begun = [self._beginning.of(pipeline, request, slot, rows, history) for slot, request in enumerate(requests)]
        making, held = begun[0].making, begun[0].held  # there is one alone then
        with watch.stage("text"):
            calls: Sequence[Call] = begun[0].recipe.calls
            if len(begun) > 1:
                calls = [join_calls(each) for each in zip(*(each.recipe.calls for each in begun), strict=True)]
            calls, guide = self._conditions.add(calls, guide, 0.0 if self._style is None else self._style.weight)
        with watch.stage("unet"):
            latent = begun[0].latent if len(begun) == 1 else torch.cat([each.latent for each in begun])
            depth = join_depths([each.depth for each in begun])
            for index, call in enumerate(calls):
                with watch.stage(f"step {index + 1}"):
                    latent = pipeline.step(latent, call, guide, depth)
                    if held is not None:
                        latent = held.after(index, latent)
                on_step(index + 1, style.steps)
        under_way = []
        for slot, each in enumerate(latent.split(1)):
            with watch.stage("decode"):
                picture, sound = pipeline.decode(each)
                if making is not None:
                    picture = making.finish(picture)
            with watch.stage("download"):
                under_way.append((self._transfer.send(picture, slot), self._transfer.send(sound, slot)))
        with watch.stage("download"):
            self._transfer.wait()
            images = [self._transfer.own(picture) for picture, _ in under_way]
        if not all(bool(sound) for _, sound in under_way):
            raise EngineError(
                f"the model {self.name} computed values that are no numbers in {self._dtype}: "
                "its weights are damaged, or need a higher precision"
            )
        if making is not None and history is not None:
            with watch.stage("recall"):
                making.remember(picture, history)
        timings = watch.read(STAGES)
        return [Rendered(image, dict(timings), None if making is None else making.after) for image in images]

    def _place(self, module: Any, dtype: torch.dtype | None = None) -> Any:
        return module.to(device=self._device, dtype=dtype or self._dtype, memory_format=torch.channels_last)

    def _warm_up(self) -> None:
        """One small picture, so that the first one asked for does not pay for setting up the libraries."""
        side = 8 * self._size_step
        frame = Frame(0, np.zeros((side, side, 3), np.uint8))
        style = Style(strength=0.5, steps=1, width=side, height=side)
        self._render([Request(frame, style)], lambda step, steps: None)

    def _free(self) -> None:
        self._text.forget()
        self._conditions.forget()
        self._guides.clear()
        self._inputs.clear()
        self._transfer.clear()
        if isinstance(self._sums, RecordedPipeline):
            self._sums.clear()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
