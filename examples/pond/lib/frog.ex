defmodule Pond.Frog do
  @moduledoc "The frog of this node."

  use GenServer

  def start_link(_), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @impl true
  def init(nil) do
    :ok = :pg.join(Pond, :frogs, self())
    {:ok, nil}
  end

  @impl true
  def handle_call(:croak, _from, nil), do: {:reply, "ribbit from #{node()}", nil}
end
