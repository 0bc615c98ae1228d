defmodule Pond.MixProject do
  use Mix.Project

  # No dependency, so no package index: Debian's `elixir` builds it as it is.
  def project do
    [
      app: :pond,
      version: System.get_env("POND_VERSION", "1.0.0"),
      elixir: "~> 1.14",
      start_permanent: Mix.env() == :prod,
      releases: [pond: [include_executables_for: [:unix]]]
    ]
  end

  def application do
    [mod: {Pond, []}, extra_applications: [:logger]]
  end
end
