"""An agent with one tool: the model calls it as often as it needs, and answers.

    OPENAI_API_KEY=...  python examples/hello_tool.py "Which is warmer today, Oslo or Rome?"

Any server that speaks OpenAI's protocol will do, on your own machine without a key:

    AGENT_SDK__OPENAI__BASE_URL=http://localhost:11434/v1  python examples/hello_tool.py
"""

import sys

from agent_sdk import Agent, ToolError, tool

TODAY = {"Lisbon": 21.5, "Oslo": 4.0, "Rome": 18.5}


@tool(effect="read")
def temperature(city: str) -> float:
    """Measure the temperature in a city, in degrees Celsius."""
    if city not in TODAY:
        raise ToolError(f"there is no thermometer in {city}", hint=f"there is one in {', '.join(TODAY)}")
    return TODAY[city]


agent = Agent(name="weather", model="openai:gpt-5-mini", instructions="Answer in one sentence.", tools=[temperature])

if __name__ == "__main__":
    print(agent.run_sync(" ".join(sys.argv[1:]) or "Which is warmer today, Oslo or Rome?"))
