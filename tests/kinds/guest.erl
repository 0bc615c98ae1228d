%% Stays, and behaves as GUEST in its environment says.
-module(guest).
-behaviour(application).
-behaviour(supervisor).
-export([start/2, prep_stop/1, stop/1, init/1, facts/0]).

start(_Type, _Args) ->
    misbehave(os:getenv("GUEST", "well")),
    supervisor:start_link(?MODULE, []).

init([]) -> {ok, {#{}, []}}.

misbehave("crashes in boot") -> error(no_table_is_free);
misbehave("eats memory") -> eat([]);
misbehave("wants more memory than there is") -> binary:copy(<<0>>, 1 bsl 45);
misbehave("makes atoms") -> atoms(0);
misbehave(_) -> ok.

eat(Eaten) -> eat([lists:seq(1, 100000) | Eaten]).

atoms(N) ->
    _ = list_to_atom("guest_" ++ integer_to_list(N)),
    atoms(N + 1).

%% How long it takes to stop, in ms; `never`.
prep_stop(State) ->
    case os:getenv("STOPS_IN", "0") of
        "never" -> timer:sleep(infinity);
        Text -> timer:sleep(list_to_integer(Text))
    end,
    io:format("the guest went by itself~n"),
    State.

stop(_State) -> ok.

%% {its greeting, who it was told that it is, who it is, process limit, heart, otp root}
facts() ->
    {ok, Greeting} = application:get_env(guest, greeting),
    {ok, Who} = application:get_env(guest, who),
    {list_to_atom(Greeting), Who, node(), erlang:system_info(process_limit), init:get_argument(heart),
     list_to_atom(code:root_dir())}.
