%% Counts what it is asked, and says what it was configured with.
-module(ring).
-behaviour(application).
-behaviour(supervisor).
-behaviour(gen_server).
-export([start/2, stop/1, init/1, start_server/0, ask/0]).
-export([handle_call/3, handle_cast/2, code_change/3]).

start(_Type, _Args) -> supervisor:start_link(?MODULE, sup).
stop(_State) -> ok.
start_server() -> gen_server:start_link({local, ?MODULE}, ?MODULE, server, []).

%% {Version, how often it was asked, OsPid, greeting}
ask() ->
    {ok, Version} = application:get_key(ring, vsn),
    {ok, Greeting} = application:get_env(ring, greeting),
    {list_to_atom(Version), gen_server:call(?MODULE, ask), list_to_integer(os:getpid()), list_to_atom(Greeting)}.

init(sup) -> {ok, {#{}, [#{id => ring, start => {?MODULE, start_server, []}, modules => [ring]}]}};
init(server) -> {ok, 0}.

handle_call(ask, _From, N) -> {reply, N + 1, N + 1}.
handle_cast(_, N) -> {noreply, N}.
code_change(_Old, N, _Extra) -> {ok, N}.
