from .addon import register, unregister
