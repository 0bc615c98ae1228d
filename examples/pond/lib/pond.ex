defmodule Pond do
  @moduledoc """
  A pond with one frog on each node of the cluster.

  The frogs hear each other: they are members of one group of OTP's `:pg`, which spreads by itself over the nodes that
  are connected.
  """

  use Application

  @impl true
  def start(_type, _args) do
    group = %{id: :pg, start: {:pg, :start_link, [__MODULE__]}}
    Supervisor.start_link([group, Pond.Frog, Pond.Finder], strategy: :rest_for_one)
  end

  @doc "The nodes that have a frog, as this node sees them."
  def frogs do
    __MODULE__ |> :pg.get_members(:frogs) |> Enum.map(&node/1) |> Enum.sort()
  end

  @doc "What all frogs say, each from its own node."
  def croak do
    for frog <- :pg.get_members(__MODULE__, :frogs), do: GenServer.call(frog, :croak)
  end
end
