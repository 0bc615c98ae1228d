%% Owns the listening socket; a few acceptors take turns, and a connection
%% lives in a process of its own. No HTTP library: gen_tcp splits the lines.
-module(court_door).
-behaviour(gen_server).
-export([start_link/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-define(IDLE_MS, 15000).
-define(HEADERS_MAX, 64).
-define(LISTEN, [binary, {packet, http_bin}, {active, false}, {reuseaddr, true},
                 {backlog, 256}, {nodelay, true}, {packet_size, 8192}]).

start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

init([]) ->
    process_flag(trap_exit, true),
    Port = port(),
    case gen_tcp:listen(Port, ?LISTEN) of
        {ok, Socket} ->
            {ok, Acceptors} = application:get_env(court, acceptors),
            Requests = counters:new(1, []),
            [spawn_link(fun() -> accept(Socket, Requests) end) || _ <- lists:seq(1, Acceptors)],
            logger:notice("court ~ts listens on port ~b", [court_page:version(), Port]),
            {ok, Socket};
        {error, Reason} ->
            {stop, {cannot_listen, Port, Reason}}
    end.

handle_call(_Other, _From, Socket) -> {reply, {error, unknown_call}, Socket}.

handle_cast(_Other, Socket) -> {noreply, Socket}.

handle_info({'EXIT', _Acceptor, Reason}, Socket) -> {stop, {acceptor, Reason}, Socket};
handle_info(_Other, Socket) -> {noreply, Socket}.

port() ->
    case os:getenv("PORT") of
        false -> {ok, Port} = application:get_env(court, port), Port;
        Text -> list_to_integer(Text)
    end.

accept(Listening, Requests) ->
    case gen_tcp:accept(Listening) of
        {ok, Socket} ->
            Pid = spawn(fun() -> receive go -> serve(Socket, Requests) after 1000 -> ok end end),
            _ = gen_tcp:controlling_process(Socket, Pid),
            Pid ! go,
            accept(Listening, Requests);
        {error, Passing} when Passing =:= econnaborted; Passing =:= emfile; Passing =:= enfile ->
            timer:sleep(50),
            accept(Listening, Requests);
        {error, Reason} ->
            exit(Reason)
    end.

serve(Socket, Requests) ->
    case gen_tcp:recv(Socket, 0, ?IDLE_MS) of
        {ok, {http_request, Method, {abs_path, Target}, Version}} ->
            answer(Socket, Requests, Method, Target, headers(Socket, keeps(Version), ?HEADERS_MAX));
        {ok, _Strange} ->
            send(Socket, court_page:bad_request(), close);
        {error, _Gone} ->
            gen_tcp:close(Socket)
    end.

answer(Socket, _Requests, _Method, _Target, gone) ->
    gen_tcp:close(Socket);
answer(Socket, Requests, Method, Target, Keep) ->
    ok = counters:add(Requests, 1, 1),
    case send(Socket, court_page:render(Method, Target, counters:get(Requests, 1)), Keep) of
        ok when Keep =:= keep -> serve(Socket, Requests);
        _Done -> gen_tcp:close(Socket)
    end.

send(Socket, {Status, Body}, Keep) ->
    Head = io_lib:format("HTTP/1.1 ~ts\r\ncontent-type: text/plain; charset=utf-8\r\n"
                         "content-length: ~b\r\nconnection: ~ts\r\n\r\n",
                         [Status, byte_size(Body), connection(Keep)]),
    gen_tcp:send(Socket, [Head, Body]).

connection(keep) -> "keep-alive";
connection(close) -> "close".

keeps({1, 1}) -> keep;
keeps(_Older) -> close.

%% Only one header matters to us: whether the other side wants to stay.
headers(_Socket, _Keep, 0) -> gone;
headers(Socket, Keep, Left) ->
    case gen_tcp:recv(Socket, 0, ?IDLE_MS) of
        {ok, http_eoh} -> Keep;
        {ok, {http_header, _, 'Connection', _, Value}} ->
            headers(Socket, wish(string:lowercase(Value), Keep), Left - 1);
        {ok, {http_header, _, 'Content-Length', _, Length}} when Length =/= <<"0">> ->
            headers(Socket, close, Left - 1);
        {ok, {http_header, _, _, _, _}} -> headers(Socket, Keep, Left - 1);
        _Broken -> gone
    end.

wish(<<"close">>, _Keep) -> close;
wish(_Other, Keep) -> Keep.
