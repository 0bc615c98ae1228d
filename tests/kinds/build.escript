#!/usr/bin/env escript
%% build.escript DIR with|without: the release `guest` in DIR, with its runtime or for the host's.
%%
%% Like rebar3's: vm.args.src and sys.config.src are templates that bin/guest expands when it starts.
-mode(compile).

-define(RUNTIME, ["beam.smp", "erlexec", "erl_child_setup", "inet_gethost", "heart"]).
-define(OTP, [kernel, stdlib]).
-define(VERSION, "1.0.0").

main([Dir, Erts]) ->
    Here = filename:dirname(escript:script_name()),
    Place = filename:join([Dir, "releases", ?VERSION]),
    ok = filelib:ensure_path(Place),
    ok = filelib:ensure_path(filename:join(Dir, "bin")),
    Ebin = filename:join([Dir, "lib", "guest-" ++ ?VERSION, "ebin"]),
    ok = filelib:ensure_path(Ebin),
    {ok, guest} = compile:file(filename:join(Here, "guest.erl"), [{outdir, Ebin}, report]),
    write(filename:join(Ebin, "guest.app"),
          {application, guest, [{description, "stays"}, {vsn, ?VERSION}, {modules, [guest]}, {registered, []},
                                {applications, ?OTP}, {mod, {guest, []}}]}),
    Rel = filename:join(Place, "guest"),
    write(Rel ++ ".rel", {release, {"guest", ?VERSION}, {erts, erlang:system_info(version)},
                          [{App, vsn(App)} || App <- ?OTP] ++ [{guest, ?VERSION}]}),
    {ok, _, _} = systools:make_script(Rel, [{path, [Ebin]}, {outdir, Place}, silent,
                                            {variables, [{"REL_LIB", filename:join(Dir, "lib")}]}]),
    {ok, _} = file:copy(Rel ++ ".boot", filename:join(Place, "start.boot")),
    ok = file:delete(Rel ++ ".script"),
    case Erts of
        "with" -> [copy_application(App, Dir) || App <- ?OTP], copy_runtime(Dir);
        "without" -> ok
    end,
    Script = filename:join([Dir, "bin", "guest"]),
    {ok, _} = file:copy(filename:join(Here, "guest.sh"), Script),
    ok = file:change_mode(Script, 8#755),
    ok = file:write_file(filename:join(Place, "vm.args.src"), "-name guest@${HOST:-127.0.0.1}\n+P ${PROCESSES}\n-heart\n"),
    ok = file:write_file(filename:join(Place, "sys.config.src"), "[{guest, [{greeting, \"${GREETING}\"}, {who, '${LACE_NODE_NAME}'}]}].\n"),
    ok = file:write_file(filename:join([Dir, "releases", "start_erl.data"]),
                         [erlang:system_info(version), " ", ?VERSION]).

copy_application(App, Dir) ->
    From = code:lib_dir(App),
    To = filename:join([Dir, "lib", filename:basename(From), "ebin"]),
    ok = filelib:ensure_path(To),
    Files = filelib:wildcard(filename:join([From, "ebin", "*.{beam,app}"])),
    [{ok, _} = file:copy(File, filename:join(To, filename:basename(File))) || File <- Files],
    {ok, _} = beam_lib:strip_files(filelib:wildcard(filename:join(To, "*.beam"))).

copy_runtime(Dir) ->
    Erts = "erts-" ++ erlang:system_info(version),
    To = filename:join([Dir, Erts, "bin"]),
    ok = filelib:ensure_path(To),
    Copy = fun(Program) ->
        Target = filename:join(To, Program),
        {ok, _} = file:copy(filename:join([code:root_dir(), Erts, "bin", Program]), Target),
        ok = file:change_mode(Target, 8#755)
    end,
    lists:foreach(Copy, ?RUNTIME).

vsn(App) ->
    [_, Version] = string:split(filename:basename(code:lib_dir(App)), "-"),
    Version.

write(Path, Term) -> ok = file:write_file(Path, io_lib:format("~tp.~n", [Term])).
