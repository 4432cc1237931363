"""What a shell runs to complete a command line of ``unionfs``: it asks the program, which answers a line for each word.

A line is a kind, a tab, a word, a tab and what the word means. The kind is ``plain``, or ``file`` or ``dir`` for which
the shell itself finds the names.
"""

BASH = r"""# Completes command lines of unionfs in bash 4.4 and later: source <(unionfs completion bash)
_unionfs_completion() {
    local line=${COMP_LINE:0:COMP_POINT} kind word about kept
    # A name such as app:1.2 is several words to bash, and what is answered must begin with the last of them.
    kept=${line##*[[:space:]]}
    [[ $kept == --*=* ]] && kept=${kept#*=}
    kept=${kept%"${kept##*["$COMP_WORDBREAKS"]}"}
    COMPREPLY=()
    while IFS=$'\t' read -r kind word about; do
        case $kind in
            dir) compopt -o dirnames -o plusdirs ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("${word#"$kept"}") ;;
        esac
    done < <("${COMP_WORDS[0]}" completion --line "$line" bash 2>/dev/null)
}
complete -o nosort -F _unionfs_completion unionfs
"""

ZSH = r"""#compdef unionfs
# Completes command lines of unionfs in zsh: put it as _unionfs into a directory of $fpath, or
# source <(unionfs completion zsh) after compinit.
_unionfs() {
    local line kind word about
    local -a plain shown
    while IFS=$'\t' read -r kind word about; do
        case $kind in
            dir) _path_files -/ ;;
            file) _files ;;
            plain) plain+=("$word"); shown+=("${word}${about:+  -- $about}") ;;
        esac
    done < <(${(Q)words[1]} completion --line "${(j: :)words[1,CURRENT]}" zsh 2>/dev/null)
    [[ $PREFIX == --*=* ]] && compset -P 1 '*='
    (( $#plain )) && compadd -l -d shown -a plain
}
if [ "$funcstack[1]" = _unionfs ]; then
    _unionfs "$@"
else
    compdef _unionfs unionfs
fi
"""

FISH = r"""# Completes command lines of unionfs in fish: unionfs completion fish | source
function __unionfs_completion
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l current (commandline --current-token --cut-at-cursor)
    set -l line (commandline --current-process --cut-at-cursor | string collect)
    set -l option (string match --regex -- '^--[^=]*=' $current)
    for answer in ($words[1] completion --line $line fish 2>/dev/null)
        set -l parts (string split --max 2 \t -- $answer)
        switch $parts[1]
            case dir
                __fish_complete_directories $current ''
            case file
                __fish_complete_path $current
            case plain
                string join \t -- "$option$parts[2]" $parts[3]
        end
    end
end
complete --command unionfs --no-files --keep-order --arguments '(__unionfs_completion)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
