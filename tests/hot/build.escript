#!/usr/bin/env escript
%% build.escript VERSION OUTDIR [FORMER]: the release `counter` with its runtime in OUTDIR; with the directory of a former
%% version, a relup from it and back to it.
%%
%% A counter that has to survive. 1.x keeps a number, later ones a tuple, what is 3.x says that it is sick, 5.x sets what
%% its configuration does not say, 6.x wants another emulator, 7.x lacks its code, 8.x changes its mind after its settings
%% are in place, 9.x knows no way back, 10.x has another build of sasl, 11.x is sick after a while, and 12.x is sick and
%% fails on the way back. All find another net_ticktime in their configuration than on their command line.
-mode(compile).

-define(RUNTIME, ["beam.smp", "erlexec", "erl_child_setup", "inet_gethost", "epmd", "erl_call"]).
-define(OTP, [kernel, stdlib, sasl]).

main([Version, Dir]) -> build(Version, Dir, none);
main([Version, Dir, Former]) -> build(Version, Dir, Former).

build(Version, Dir, Former) ->
    Place = filename:join([Dir, "releases", Version]),
    ok = filelib:ensure_path(Place),
    ok = filelib:ensure_path(filename:join(Dir, "bin")),
    [copy_application(App, Dir) || App <- ?OTP],
    copy_runtime(Dir),
    compile_counter(Version, Dir, Former),
    Rel = filename:join(Place, "counter"),
    write(Rel ++ ".rel", {release, {"counter", Version}, {erts, erlang:system_info(version)},
                          [{App, vsn(App)} || App <- ?OTP] ++ [{counter, Version}]}),
    Paths = filelib:wildcard(filename:join([Dir, "lib", "*", "ebin"])),
    {ok, _, _} = systools:make_script(Rel, [{path, Paths}, {outdir, Place}, {variables, [{"ROOT", Dir}]},
                                            no_warn_sasl, silent]),
    {ok, _} = file:copy(Rel ++ ".boot", filename:join(Place, "start.boot")),
    relup(Rel, Place, Paths, Former),
    spoil(Version, Dir),
    Releases = filename:join(Dir, "releases"),
    ok = release_handler:create_RELEASES(Dir, Releases, Rel ++ ".rel", []),
    make_relative(filename:join(Releases, "RELEASES"), Dir),
    Here = filename:dirname(escript:script_name()),
    Ball = filename:join([Here, "..", "..", "examples", "ball", "release"]),
    {ok, _} = file:copy(filename:join(Ball, "vm.args"), filename:join(Place, "vm.args")),
    Script = filename:join([Dir, "bin", "counter"]),
    {ok, _} = file:copy(filename:join(Ball, "ball.sh"), Script),
    ok = file:change_mode(Script, 8#755),
    write(filename:join(Place, "sys.config"), [{kernel, [{net_ticktime, 60}]},
                                                {counter, [{step, 1}, {made_for, Version}]}]),
    ok = file:write_file(filename:join(Releases, "start_erl.data"),
                         [erlang:system_info(version), " ", Version]).

relup(_Rel, _Place, _Paths, none) -> ok;
relup(Rel, Place, Paths, Former) ->
    [Old] = filelib:wildcard(filename:join([Former, "releases", "*", "counter.rel"])),
    OldRel = filename:rootname(Old),
    OldPaths = filelib:wildcard(filename:join([Former, "lib", "counter-*", "ebin"])),
    Back = case filename:basename(Place) of "9." ++ _ -> []; _ -> [OldRel] end,
    {ok, _, _, _} = systools:make_relup(Rel, [OldRel], Back,
                                        [{path, Paths ++ OldPaths}, {outdir, Place}, silent]).

spoil("7." ++ _ = Version, Dir) ->
    ok = file:delete(filename:join([Dir, "lib", "counter-" ++ Version, "ebin", "counter.beam"]));
spoil("10." ++ _, Dir) ->
    [App] = filelib:wildcard(filename:join([Dir, "lib", "sasl-*", "ebin", "sasl.app"])),
    ok = file:write_file(App, "%% Built anew.\n", [append]);
spoil(_, _) -> ok.

compile_counter(Version, Dir, Former) ->
    Ebin = filename:join([Dir, "lib", "counter-" ++ Version, "ebin"]),
    ok = filelib:ensure_path(Ebin),
    Source = filename:join(filename:dirname(escript:script_name()), "counter.erl"),
    Defined = case Version of
        "1." ++ _ -> [{d, 'OLD'}];
        "3." ++ _ -> [{d, 'AFTER'}, {d, 'SICK'}];
        "5." ++ _ -> [{d, 'AFTER'}, {d, 'MEDDLES'}];
        "11." ++ _ -> [{d, 'AFTER'}, {d, 'LATER'}];
        "12." ++ _ -> [{d, 'STUCK'}, {d, 'SICK'}];
        _ -> []
    end,
    {ok, counter} = compile:file(Source, [{outdir, Ebin}, report | Defined]),
    write(filename:join(Ebin, "counter.app"),
          {application, counter, [{description, "counts"}, {vsn, Version}, {modules, [counter]},
                                  {registered, [counter]}, {applications, [kernel, stdlib, sasl]},
                                  {env, [{unsaid, true}]}, {mod, {counter, []}}]}),
    case Former of
        none -> ok;
        _ ->
            [Rel] = filelib:wildcard(filename:join([Former, "releases", "*", "counter.rel"])),
            {ok, [{release, {_, Old}, _, _}]} = file:consult(Rel),
            Change = case Version of
                "6." ++ _ -> [{update, counter, {advanced, []}}, restart_emulator];
                "8." ++ _ -> [{apply, {erlang, throw, [{error, no}]}}, point_of_no_return,
                              {update, counter, {advanced, []}}];
                _ -> [{update, counter, {advanced, []}}]
            end,
            write(filename:join(Ebin, "counter.appup"), {Version, [{Old, Change}], [{Old, Change}]})
    end.

copy_application(App, Dir) ->
    From = code:lib_dir(App),
    To = filename:join([Dir, "lib", filename:basename(From), "ebin"]),
    ok = filelib:ensure_path(To),
    Files = filelib:wildcard(filename:join([From, "ebin", "*.{beam,app,appup}"])),
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

make_relative(File, Dir) ->
    {ok, [Releases]} = file:consult(File),
    Strip = fun(Path) -> string:replace(Path, filename:absname(Dir) ++ "/", "") end,
    write(File, [setelement(5, R, [{A, V, lists:flatten(Strip(P))} || {A, V, P} <- element(5, R)])
                 || R <- Releases]).

write(Path, Term) -> ok = file:write_file(Path, io_lib:format("~tp.~n", [Term])).
