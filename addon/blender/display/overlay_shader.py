"""The shader that lays a picture over a 3D View with Blender's own colours. Imports gpu."""

import gpu

from .picture_texture import IS_LINEAR

# Blender lays what handlers draw over the viewport by a gamma of 2.2, not by sRGB's curve (found by measuring 4.3 and
# 5.2): so pictures get just that. What is not quite black keeps the least value that the 8 bits in between can hold.
FRAGMENT = """
vec3 encoded(vec3 light)
{
  return mix(12.92 * light, 1.055 * pow(light, vec3(1.0 / 2.4)) - 0.055, step(0.0031308, light));
}

void main()
{
  if (reach > 0) {
    ivec2 at = ivec2(gl_FragCoord.xy), last = textureSize(selected, 0) - 1;
    float here = texelFetch(selected, clamp(at, ivec2(0), last), 0).r;
    for (int y = -reach; y <= reach; y++) {
      for (int x = -reach; x <= reach; x++) {
        if (texelFetch(selected, clamp(at + ivec2(x, y), ivec2(0), last), 0).r != here) {
          discard;
        }
      }
    }
  }
  vec3 seen = SEEN(texture(image, place).rgb);
  vec3 least = step(vec3(3.5 / 255.0), seen) / (255.0 * 12.92);
  colour = vec4(max(pow(seen, vec3(2.2)), least), opacity);
}
"""
VERTEX = """
void main()
{
  place = texCoord;
  gl_Position = ModelViewProjectionMatrix * vec4(pos, 0.0, 1.0);
}
"""


def make() -> gpu.types.GPUShader:
    """Inputs: ``pos``, ``texCoord``; ``image``, the picture's texture, and ``opacity``, 0 to 1.

    Where within ``reach`` pixels of the buffer drawn to ``selected`` changes, nothing is drawn; 0 draws all.
    """
    between = gpu.types.GPUStageInterfaceInfo("draftglass_overlay")
    between.smooth("VEC2", "place")
    info = gpu.types.GPUShaderCreateInfo()
    info.push_constant("MAT4", "ModelViewProjectionMatrix")
    info.push_constant("FLOAT", "opacity")
    info.push_constant("INT", "reach")
    info.sampler(0, "FLOAT_2D", "image")
    info.sampler(1, "FLOAT_2D", "selected")
    info.vertex_in(0, "VEC2", "pos")
    info.vertex_in(1, "VEC2", "texCoord")
    info.vertex_out(between)
    info.fragment_out(0, "VEC4", "colour")
    info.vertex_source(VERTEX)
    info.define("SEEN", "encoded" if IS_LINEAR else "")
    info.fragment_source(FRAGMENT)
    return gpu.shader.create_from_info(info)
