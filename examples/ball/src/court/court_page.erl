%% What the page says: pure but for the questions it asks the running node.
-module(court_page).
-export([render/3, bad_request/0, version/0]).

render('GET', <<"/">>, Request) ->
    {"200 OK", text("~ts on ~ts~nball runs on ~ts~nrequest ~b of this node~n",
                    [title(), node(), ball_srv:whereabouts(), Request])};
render('GET', <<"/up">>, _Request) ->
    case init:get_status() of
        {started, started} -> {"200 OK", <<"up\n">>};
        {Status, _} -> {"503 Service Unavailable", text("~ts~n", [Status])}
    end;
render('GET', <<"/nodes">>, _Request) ->
    {"200 OK", text("~ts", [[[atom_to_list(Node), $\n] || Node <- lists:sort([node() | nodes()])]])};
render('GET', _Elsewhere, _Request) ->
    {"404 Not Found", <<"there is /, /up and /nodes\n">>};
render(_Method, _Target, _Request) ->
    {"405 Method Not Allowed", <<"only GET\n">>}.

bad_request() -> {"400 Bad Request", <<"this is not HTTP\n">>}.

version() ->
    {ok, Vsn} = application:get_key(court, vsn),
    Vsn.

title() -> ["ball ", version()].

text(Format, Arguments) -> unicode:characters_to_binary(io_lib:format(Format, Arguments)).
