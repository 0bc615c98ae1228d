%% Counts, and says who it is. Its state has another form from version 2 on.
-module(counter).
-behaviour(application).
-behaviour(supervisor).
-export([start/2, stop/1, init/1, start_link/0]).
-export([bump/0, value/0, healthy/0, loop/2]).
-export([system_continue/3, system_terminate/4, system_code_change/4]).

%% A setting that cannot leave its runtime.
start(_Type, _Args) ->
    application:set_env(counter, callback, fun(N) -> N + 1 end),
    supervisor:start_link(?MODULE, []).
stop(_State) -> ok.
init([]) ->
    {ok, {#{}, [#{id => counter, start => {?MODULE, start_link, []}, modules => [counter]}]}}.

start_link() ->
    Parent = self(),
    Pid = proc_lib:spawn_link(fun() -> register(counter, self()), loop(Parent, fresh()) end),
    {ok, Pid}.

loop(Parent, State) ->
    receive
        {bump, From} ->
            Next = wrap(number(State) + 1),
            From ! {counted, number(Next)},
            ?MODULE:loop(Parent, Next);
        {value, From} ->
            From ! {counted, number(State)},
            ?MODULE:loop(Parent, State);
        {system, From, Request} ->
            sys:handle_system_msg(Request, From, Parent, ?MODULE, [], State)
    end.

system_continue(Parent, _Debug, State) -> ?MODULE:loop(Parent, State).
system_terminate(Reason, _Parent, _Debug, _State) -> exit(Reason).

-ifdef(OLD).
fresh() -> 0.
wrap(Number) -> Number.
number(Number) when is_integer(Number) -> Number.
system_code_change({count, Number}, _Module, _Old, _Extra) -> {ok, Number};
system_code_change(Number, _Module, _Old, _Extra) -> {ok, Number}.
-else.
fresh() -> {count, 0}.
wrap(Number) -> {count, Number}.
number({count, Number}) -> Number.
%% Called in the new code on the way up, and in what is left on the way down.
system_code_change(Number, _Module, _Old, _Extra) when is_integer(Number) -> {ok, {count, Number}};
system_code_change({count, Number}, _Module, {down, _}, _Extra) -> {ok, down(Number)};
system_code_change({count, Number}, _Module, _Old, _Extra) -> meddle(), {ok, {count, Number}}.
-ifdef(MEDDLES).
meddle() -> application:set_env(counter, made_for, "nobody").
-else.
meddle() -> persistent_term:put(counter_at, erlang:monotonic_time(millisecond)).
-endif.
%% What comes after 2.x goes back to 2.x.
-ifdef(AFTER).
down(Number) -> {count, Number}.
-else.
-ifdef(STUCK).
down(_) -> error(stuck).
-else.
down(Number) -> Number.
-endif.
-endif.
-endif.

ask(What) ->
    counter ! {What, self()},
    receive {counted, Number} -> Number after 2000 -> error(silent) end.

bump() -> ask(bump).

%% {Version, Number, OsPid, what its configuration was made for, what Lace added to the kernel}
value() ->
    {ok, Version} = application:get_key(counter, vsn),
    {ok, For} = application:get_env(counter, made_for),
    {list_to_atom(Version), ask(value), list_to_integer(os:getpid()), list_to_atom(For),
     application:get_env(kernel, net_ticktime, none)}.

-ifdef(SICK).
healthy() -> error(sick).
-else.
-ifdef(LATER).
%% Well for three seconds.
healthy() ->
    true = erlang:monotonic_time(millisecond) - persistent_term:get(counter_at) < 3000,
    ok.
-else.
healthy() -> ok.
-endif.
-endif.
