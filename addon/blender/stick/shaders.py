"""The shaders that draw meshes in UV space. Imports gpu."""

from __future__ import annotations

import gpu

_VERTEX = """
void main()
{
  place = seen;
  away = normal;
  gl_Position = vec4(uv * 2.0 - 1.0, 0.0, 1.0);
}
"""
_FRAGMENT = """
vec4 pixel(ivec2 at)
{
  return texelFetch(picture, clamp(at, ivec2(0), textureSize(picture, 0) - 1), 0);
}

vec4 sampled(vec2 at)
{
  vec2 corner = floor(at - 0.5);
  vec2 part = at - 0.5 - corner;
  ivec2 low = ivec2(corner);
  vec4 below = mix(pixel(low), pixel(low + ivec2(1, 0)), part.x);
  vec4 above = mix(pixel(low + ivec2(0, 1)), pixel(low + ivec2(1, 1)), part.x);
  return mix(below, above, part.y);
}

void main()
{
  colour = vec4(0.0);
  quality = vec4(0.0, 0.0, 0.0, 0.25);
  vec2 size = vec2(textureSize(picture, 0));
  vec2 screen = vec2(textureSize(surfaces, 0));
  vec4 clip = projection * vec4(place, 1.0);
  vec2 at = clip.xy / clip.w * 0.5 + 0.5;
  vec2 right = dFdx(at) * size;
  vec2 up = dFdy(at) * size;
  float distance = -place.z;
  bool inside = clip.w > 0.0 && clip.z >= -clip.w && all(greaterThan(at, vec2(0.0))) && all(lessThan(at, vec2(1.0)));
  if (!inside) {
    return;
  }
  vec4 there = texelFetch(surfaces, ivec2(at * screen), 0);
  float flat_view = abs(projection[2][3]) < 0.5 ? 1.0 : 0.0;
  vec3 to_eye = flat_view > 0.5 ? vec3(0.0, 0.0, 1.0) : -normalize(place);
  float cosine = abs(dot(normalize(away), to_eye));
  // how far a pixel reaches on a surface at right angles to the view, and along this one
  float reach = 2.0 / (abs(projection[0][0]) * screen.x) * (flat_view > 0.5 ? 1.0 : distance);
  float slope = sqrt(max(1.0 - cosine * cosine, 0.0)) / max(cosine, 0.02);
  float slack = reach * (1.0 + 1.5 * slope) + 0.0005 * distance;
  if (int(there.r + 0.5) != number || abs(there.g - distance) > slack) {
    return;
  }
  float most = max(length(right), length(up));
  int count = int(clamp(ceil(most), 1.0, 4.0));
  vec4 sum = vec4(0.0);
  for (int i = 0; i < count; i++) {
    for (int j = 0; j < count; j++) {
      vec2 step = (vec2(float(i), float(j)) + 0.5) / float(count) - 0.5;
      sum += sampled(at * size + step.x * right + step.y * up);
    }
  }
  float total = dot(right, right) + dot(up, up);
  float area = right.x * up.y - right.y * up.x;
  float least = sqrt(max(total - sqrt(max(total * total - 4.0 * area * area, 0.0)), 0.0) / 2.0);
  vec2 rim = min(at, 1.0 - at);
  sum /= float(count * count);
  colour = vec4(sum.rgb, max(cosine, 0.005));
  quality = vec4(texelFetch(clear, ivec2(at * size), 0).r, min(rim.x, rim.y) * 2.0, min(least, 1.0), 0.5 + 0.5 * sum.a);
}
"""


def projecting() -> gpu.types.GPUShader:
    """From a picture to texels. Inputs: ``seen``, a corner as the view's eye sees it, ``normal`` likewise, and ``uv``.

    Textures, bottom row first: ``picture``, with how much each pixel counts as its alpha; ``surfaces``, number and
    distance of what the view shows; ``clear``, of each pixel of the picture how far it is from a depth edge, 0 to 1.
    Slot 0: colour and the cosine at which the texel is seen, 0 for one that is not. Slot 1: ``clear``; how far it is
    from the picture's border, 0 to 1 in its middle; pixels to a texel in the direction in which they are fewest; 0.25
    on a surface, and from 0.5 to 1, as its pixels count, where that is seen.
    """
    info, between = gpu.types.GPUShaderCreateInfo(), gpu.types.GPUStageInterfaceInfo("stick_between")
    info.push_constant("MAT4", "projection")
    info.push_constant("INT", "number")
    for slot, name in enumerate(("picture", "surfaces", "clear")):
        info.sampler(slot, "FLOAT_2D", name)
    for slot, (kind, name) in enumerate((("VEC3", "seen"), ("VEC3", "normal"), ("VEC2", "uv"))):
        info.vertex_in(slot, kind, name)
    between.smooth("VEC3", "place")
    between.smooth("VEC3", "away")
    info.vertex_out(between)
    info.fragment_out(0, "VEC4", "colour")
    info.fragment_out(1, "VEC4", "quality")
    info.vertex_source(_VERTEX)
    info.fragment_source(_FRAGMENT)
    return gpu.shader.create_from_info(info)


def colouring() -> gpu.types.GPUShader:
    """Colours of corners, over each triangle. Inputs: ``uv`` and ``paint``, 0 to 1."""
    info, between = gpu.types.GPUShaderCreateInfo(), gpu.types.GPUStageInterfaceInfo("stick_colour_between")
    info.vertex_in(0, "VEC2", "uv")
    info.vertex_in(1, "VEC4", "paint")
    between.smooth("VEC4", "shade")
    info.vertex_out(between)
    info.fragment_out(0, "VEC4", "colour")
    info.vertex_source("void main() { shade = paint; gl_Position = vec4(uv * 2.0 - 1.0, 0.0, 1.0); }")
    info.fragment_source("void main() { colour = shade; }")
    return gpu.shader.create_from_info(info)


def counting() -> gpu.types.GPUShader:
    """A quarter for each triangle that covers a texel, to be added up. Input: ``uv``."""
    info = gpu.types.GPUShaderCreateInfo()
    info.vertex_in(0, "VEC2", "uv")
    info.fragment_out(0, "VEC4", "colour")
    info.vertex_source("void main() { gl_Position = vec4(uv * 2.0 - 1.0, 0.0, 1.0); }")
    info.fragment_source("void main() { colour = vec4(0.25, 0.0, 0.0, 1.0); }")
    return gpu.shader.create_from_info(info)


_LOOK_VERTEX = """
void main()
{
  place = seen;
  away = normal;
  at = uv;
  gl_Position = to_clip * vec4(seen, 1.0);
}
"""
_LOOK_FRAGMENT = """
void main()
{
  ivec2 fine = ivec2(gl_FragCoord.xy / size * vec2(textureSize(surfaces, 0)));
  if (int(texelFetch(surfaces, fine, 0).r + 0.5) != number) {
    discard;
  }
  vec3 to_eye = eye.w > 0.5 ? eye.xyz - place : eye.xyz;
  vec4 linear = texture(image, at);
  vec3 low = linear.rgb * 12.92;
  vec3 high = 1.055 * pow(max(linear.rgb, vec3(1e-6)), vec3(1.0 / 2.4)) - 0.055;
  colour = vec4(mix(low, high, step(vec3(0.0031308), linear.rgb)), stuck ? 1.0 : 0.5);
  vec4 state = texelFetch(states, ivec2(clamp(at, 0.0, 0.99999) * vec2(textureSize(states, 0))), 0);
  vec2 right = dFdx(at) * vec2(textureSize(states, 0));
  vec2 up = dFdy(at) * vec2(textureSize(states, 0));
  float total = dot(right, right) + dot(up, up);
  float area = right.x * up.y - right.y * up.x;
  float most = sqrt((total + sqrt(max(total * total - 4.0 * area * area, 0.0))) / 2.0);
  float cosine = abs(dot(normalize(away), normalize(to_eye)));
  quality = vec4(state.rg, state.r * state.b, max(cosine * min(1.0 / max(most, 1e-6), 1.0), 0.005));
}
"""


def looking() -> gpu.types.GPUShader:
    """Draws what is stuck as a view sees it. Inputs as of :func:`projecting`, but in any frame.

    ``to_clip``: from that frame. ``eye``: where that is, and 1; or of an orthographic view the direction to it, and 0.

    Textures: ``image``, linear; ``states``; ``surfaces`` as there. Slot 0: sRGB, and 1 where a picture is stuck, 0.5
    where one could be. Slot 1: the first two states of a texture; and how well it was seen, and is by this view: the
    cosine times pixels to a texel.
    """
    info, between = gpu.types.GPUShaderCreateInfo(), gpu.types.GPUStageInterfaceInfo("stick_look_between")
    info.push_constant("MAT4", "to_clip")
    info.push_constant("VEC4", "eye")
    info.push_constant("VEC2", "size")
    info.push_constant("INT", "number")
    info.push_constant("BOOL", "stuck")
    for slot, name in enumerate(("image", "states", "surfaces")):
        info.sampler(slot, "FLOAT_2D", name)
    for slot, (kind, name) in enumerate((("VEC3", "seen"), ("VEC3", "normal"), ("VEC2", "uv"))):
        info.vertex_in(slot, kind, name)
    between.smooth("VEC3", "place")
    between.smooth("VEC3", "away")
    between.smooth("VEC2", "at")
    info.vertex_out(between)
    info.fragment_out(0, "VEC4", "colour")
    info.fragment_out(1, "VEC4", "quality")
    info.vertex_source(_LOOK_VERTEX)
    info.fragment_source(_LOOK_FRAGMENT)
    return gpu.shader.create_from_info(info)


_POINT_FRAGMENT = """
void main()
{
  ivec2 fine = ivec2(gl_FragCoord.xy / size * vec2(textureSize(surfaces, 0)));
  if (int(texelFetch(surfaces, fine, 0).r + 0.5) != number) {
    discard;
  }
  point = vec4(at, float(index), 1.0);
}
"""


def pointing() -> gpu.types.GPUShader:
    """Where on which map each pixel is. Inputs as of :func:`looking`; slot 0: ``uv``, and ``index``."""
    info, between = gpu.types.GPUShaderCreateInfo(), gpu.types.GPUStageInterfaceInfo("stick_point_between")
    info.push_constant("MAT4", "to_clip")
    info.push_constant("VEC2", "size")
    info.push_constant("INT", "number")
    info.push_constant("INT", "index")
    info.sampler(0, "FLOAT_2D", "surfaces")
    info.vertex_in(0, "VEC3", "seen")
    info.vertex_in(1, "VEC2", "uv")
    between.smooth("VEC2", "at")
    info.vertex_out(between)
    info.fragment_out(0, "VEC4", "point")
    info.vertex_source("void main() { at = uv; gl_Position = to_clip * vec4(seen, 1.0); }")
    info.fragment_source(_POINT_FRAGMENT)
    return gpu.shader.create_from_info(info)


_COVER_FRAGMENT = """
void main()
{
  vec4 state = texelFetch(states, ivec2(clamp(at, 0.0, 0.99999) * vec2(textureSize(states, 0))), 0);
  if (state.r <= 0.0) {
    colour = vec4(0.8, 0.02, 0.02, 0.6);
  }
  else if (state.r < GRAZING) {
    colour = vec4(0.9, 0.35, 0.02, 0.6);
  }
  else if (state.b < STRETCHED) {
    colour = vec4(0.05, 0.15, 0.9, 0.6);
  }
  else {
    discard;
  }
}
"""


def covering() -> gpu.types.GPUShader:
    """Colours what is empty red, what was seen at a grazing angle orange, and what is stretched blue.

    Inputs: ``place``, in the world, and ``uv``; ``to_clip`` leads from there. Drawn a hair nearer than the surface.
    """
    info, between = gpu.types.GPUShaderCreateInfo(), gpu.types.GPUStageInterfaceInfo("stick_cover_between")
    info.define("GRAZING", "0.3")
    info.define("STRETCHED", "0.25")
    info.push_constant("MAT4", "to_clip")
    info.sampler(0, "FLOAT_2D", "states")
    for slot, (kind, name) in enumerate((("VEC3", "place"), ("VEC2", "uv"))):
        info.vertex_in(slot, kind, name)
    between.smooth("VEC2", "at")
    info.vertex_out(between)
    info.fragment_out(0, "VEC4", "colour")
    info.vertex_source(
        "void main() { at = uv; gl_Position = to_clip * vec4(place, 1.0); gl_Position.z -= 0.0002 * gl_Position.w; }"
    )
    info.fragment_source(_COVER_FRAGMENT)
    return gpu.shader.create_from_info(info)
