from abstractcore import aio

parallel = aio.Parallel.from_client(
    client,
    worker_prompts=[
        "Analyze this from a security perspective.",
        "Analyze this from a performance perspective.",
        "Analyze this from a readability perspective.",
    ],
    aggregator_prompt="Synthesize into one concise review.",
)
result = await parallel.run("def login(user, pw): return user == 'admin' and pw == 'pw'")
