"""The shader that writes each pixel's instance, distance and normal. Imports gpu."""

from __future__ import annotations

import gpu

ROW = 3072
"""Width of the texture that holds the matrices: three texels for each, the rows of its upper part."""
_TYPES = "struct Camera { mat4 view; mat4 projection; };"
_VERTEX = """
void main()
{
  int number = first + gl_InstanceID;
  ivec2 at = ivec2((number * 3) % ROW, (number * 3) / ROW);
  vec4 x = texelFetch(matrices, at, 0);
  vec4 y = texelFetch(matrices, at + ivec2(1, 0), 0);
  vec4 z = texelFetch(matrices, at + ivec2(2, 0), 0);
  vec4 local = vec4(pos, 1.0);
  vec4 seen = camera.view * vec4(dot(x, local), dot(y, local), dot(z, local), 1.0);
  instance = number + 1;
  mirrored = dot(cross(x.xyz, y.xyz), z.xyz) < 0.0 ? 1 : 0;
  place = seen.xyz;
#ifdef NORMALS
  mat3 turn = mat3(camera.view[0].xyz, camera.view[1].xyz, camera.view[2].xyz);
  vec3 outwards = vec3(dot(cross(y.xyz, z.xyz), normal), dot(cross(z.xyz, x.xyz), normal),
                       dot(cross(x.xyz, y.xyz), normal));
  facing = turn * outwards;
#endif
  gl_Position = camera.projection * seen;
}
"""
_FRAGMENT = """
void main()
{
  if (culling && gl_FrontFacing == (mirrored == 1)) {
    discard;
  }
  found = vec2(float(instance), -place.z);
#ifdef NORMALS
  vec3 flat_normal = cross(dFdx(place), dFdy(place));
  vec3 smooth_normal = normalize(facing);
  bool away = dot(smooth_normal, flat_normal) < 0.0;
  direction = vec4((away ? -smooth_normal : smooth_normal) * 0.5 + 0.5, 1.0);
#endif
}
"""


def compiled(normals: bool) -> gpu.types.GPUShader:
    """The shader: inputs ``pos`` and, with ``normals``, ``normal``; colours in slot 0 and then 1.

    Slot 0: 1 + ``first`` + the number within the draw, and the distance. Slot 1: the normal, of the side that is
    seen, in view space, -1 to 1 mapped to 0 to 1.
    """
    info, between = gpu.types.GPUShaderCreateInfo(), gpu.types.GPUStageInterfaceInfo("surface_between")
    info.define("ROW", str(ROW))
    info.typedef_source(_TYPES)
    info.uniform_buf(0, "Camera", "camera")
    info.push_constant("INT", "first")
    info.push_constant("BOOL", "culling")
    info.sampler(0, "FLOAT_2D", "matrices")
    info.vertex_in(0, "VEC3", "pos")
    between.smooth("VEC3", "place")
    between.flat("INT", "instance")
    between.flat("INT", "mirrored")
    if normals:
        info.define("NORMALS", "1")
        info.vertex_in(1, "VEC3", "normal")
        between.smooth("VEC3", "facing")
    info.vertex_out(between)
    info.fragment_out(0, "VEC2", "found")
    if normals:
        info.fragment_out(1, "VEC4", "direction")
    info.vertex_source(_VERTEX)
    info.fragment_source(_FRAGMENT)
    return gpu.shader.create_from_info(info)
