defmodule Pond.Finder do
  @moduledoc """
  Finds the other ponds by DNS, where POND_QUERY names what to ask for; elsewhere Lace connects the nodes.

  It does what the usual libraries do, so that it shows that they work unchanged: with POND_RECORD=a each address is the
  host of a node (libcluster's `DNSPoll`, dns_cluster), with POND_RECORD=srv each target is (`Kubernetes.DNSSRV`,
  dns_cluster's `:srv`). The name before the `@` is our own.
  """

  use GenServer

  @interval 500

  def start_link(_), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @impl true
  def init(nil) do
    case System.get_env("POND_QUERY") do
      nil ->
        :ignore

      query ->
        send(self(), :look)
        {:ok, {String.to_charlist(query), System.get_env("POND_RECORD", "a")}}
    end
  end

  @impl true
  def handle_info(:look, {query, record} = state) do
    [base, _host] = node() |> Atom.to_string() |> String.split("@", parts: 2)

    for host <- hosts(query, record), name = :"#{base}@#{host}", name != node(), name not in Node.list() do
      Node.connect(name)
    end

    Process.send_after(self(), :look, @interval)
    {:noreply, state}
  end

  defp hosts(query, "a"), do: query |> :inet_res.lookup(:in, :a) |> Enum.map(&:inet.ntoa/1)
  defp hosts(query, "srv"), do: for({_, _, _, target} <- :inet_res.lookup(query, :in, :srv), do: target)
end
